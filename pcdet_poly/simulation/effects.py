"""Hits -> range images as a LiDAR would report them."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from pcdet_poly.simulation.cast import Hits
from pcdet_poly.simulation.materials import Material, reflection_table
from pcdet_poly.simulation.noise import mixed, normal, uniform
from pcdet_poly.simulation.sensor import Lidar

ELONGATION_STEP = 0.00585532  # Waymo stores elongation in 255 steps of this
_LARGEST_INTENSITY = 139264.0  # seen in a real frame
_RANGE_NOISE_M = 0.015
_RETURNS_APART_M = 0.6  # nearer surfaces melt into one return

# A pulse is lost when its echo, intensity x (60 m / range)^2, is weak: at this echo every second one is.
_WEAK_ECHO = 0.012
_SECOND_AT_EDGES = 0.35  # share of pulses at an outline that also report what is behind
_SECOND_IN_LEAVES = 0.45
_STRAY_LOSS = 0.015  # pulses lost for no reason that is modelled


def measure(lidar: Lidar, hits: Hits, tint: np.ndarray, seed: np.uint64) -> tuple[np.ndarray, np.ndarray]:
    """First and second return: (H, W, 4) float32 each, channels as in Waymo's range images.

    `tint` (objects,) scales the intensity of tinted materials; the last channel, the no-label
    zone, is left at -1 (outside).
    """
    shape = lidar.shape
    images = np.full((2, *shape, 4), -1.0, np.float32)
    images[..., :3] = -1.0
    _measure(
        lidar.fires, lidar.min_range_m, lidar.max_range_m, lidar.rolls,
        hits.range_m, hits.cosine, hits.material, hits.owner, tint, reflection_table(), seed, images,
    )  # fmt: skip
    return images[0], images[1]


@njit(cache=True, nogil=True)
def _measure(fires, nearest, farthest, long_range, distance, cosine, material, owner, tint, table, seed, images):
    height, width = fires.shape
    for i in range(height):
        for j in range(width):
            if not fires[i, j]:
                continue
            draw = mixed(seed, i * width + j)
            reported = 0
            last = 0.0
            for layer in range(2):
                if layer == 1 and (reported == 0 or not _shows_second(distance, material, i, j, draw)):
                    break
                source = layer, i, j
                if layer == 1 and material[0, i, j] != Material.LEAVES.value:
                    source = _behind(distance, i, j, width, height)
                range_m = distance[source]
                if range_m < nearest or range_m > farthest or range_m - last < _RETURNS_APART_M:
                    continue
                one = mixed(draw, 100 + layer)
                intensity = _intensity(table[material[source]], cosine[source], owner[source], tint, one)
                if uniform(one, 9) < table[material[source], 4] or _is_lost(intensity, range_m, one, long_range):
                    continue
                images[reported, i, j, 0] = range_m + _RANGE_NOISE_M * normal(one, 5)
                share = 0.6 if layer == 1 else 1.0  # the rest of the pulse was spent in front
                images[reported, i, j, 1] = _coarse(min(intensity * share, _LARGEST_INTENSITY))
                images[reported, i, j, 2] = _elongation(table[material[source], 5], cosine[source], one, long_range)
                reported, last = reported + 1, range_m


@njit(cache=True, nogil=True)
def _shows_second(distance, material, i, j, draw):
    if material[0, i, j] == Material.LEAVES.value:
        return uniform(draw, 1) < _SECOND_IN_LEAVES
    behind = _behind(distance, i, j, distance.shape[2], distance.shape[1])
    return distance[behind] > distance[0, i, j] + _RETURNS_APART_M and uniform(draw, 1) < _SECOND_AT_EDGES


@njit(cache=True, nogil=True)
def _behind(distance, i, j, width, height):
    """Where a pulse that is wider than an edge also lands: the farthest of the pixels around that see anything."""
    best = 0, i, j
    for di, dj in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        row, column = i + di, (j + dj) % width
        if 0 <= row < height and distance[best] < distance[0, row, column] < np.inf:
            best = 0, row, column
    return best


@njit(cache=True, nogil=True)
def _intensity(reflection, cosine, owner, tint, draw):
    level, spread, tinted, glance = reflection[0], reflection[1], reflection[2], reflection[3]
    if tinted and owner >= 0:
        level *= tint[owner]
    return level * (1.0 - glance * (1.0 - cosine)) * math.exp(spread * normal(draw, 6))


@njit(cache=True, nogil=True)
def _is_lost(intensity, range_m, draw, long_range):
    reach = 60.0 if long_range else 16.0
    echo = intensity * (reach / range_m) ** 2
    return uniform(draw, 7) < _WEAK_ECHO / (_WEAK_ECHO + echo) or uniform(draw, 8) < _STRAY_LOSS


@njit(cache=True, nogil=True)
def _elongation(mean, cosine, draw, long_range):
    """Stretched pulses come from slanted and rough surfaces; side LiDARs report almost none."""
    if not long_range and uniform(draw, 10) < 0.97:
        return 0.0
    stretch = -mean * math.log(uniform(draw, 11)) * (1.0 + 0.5 * (1.0 - cosine))
    return min(math.floor(stretch / ELONGATION_STEP + 0.5), 255.0) * ELONGATION_STEP


@njit(cache=True, nogil=True)
def _coarse(value):
    """Rounded to 9 significant bits, as precise as Waymo's intensities are."""
    fraction, exponent = math.frexp(value)
    return math.ldexp(math.floor(fraction * 512.0 + 0.5) / 512.0, exponent)
