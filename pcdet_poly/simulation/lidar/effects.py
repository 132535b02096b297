"""Hits -> range images as a LiDAR would report them."""

from __future__ import annotations

import math

import numpy as np

from pcdet_poly.ops.compiler.kernel import kernel
from pcdet_poly.simulation.lidar.noise import draw_normal, draw_uniform, mix_hash
from pcdet_poly.simulation.lidar.rays import Hits
from pcdet_poly.simulation.lidar.sensor import Lidar
from pcdet_poly.simulation.solids.materials import Material, tabulate_reflections

ELONGATION_STEP = 0.00585532  # Waymo stores elongation in 255 steps of this
RANGE_NOISE_M = 0.015  # standard deviation
RETURNS_APART_M = 0.6  # nearer surfaces melt into one return
_LARGEST_INTENSITY = 139264.0  # seen in a real frame

# A pulse's echo is intensity x (reach / range)^2; at this echo every second pulse is lost.
_WEAK_ECHO = 0.009
_REACH_M = (60.0, 16.0)  # of TOP, of side LiDARs
_STRAY_LOSS = 0.012  # pulses lost for no reason that is modelled
_SECOND_AT_EDGES = 0.32  # share of pulses at an outline that also report what is behind
_SECOND_IN_LEAVES = 0.40
_SECOND_ECHO = 0.6  # of the first: the rest of the pulse was spent in front
_LONG_SHARE, _LONG_FACTOR = 0.03, 10.0  # a few pulses come back very long
_SIDE_WITHOUT_STRETCH = 0.97  # share of a side LiDAR's points whose elongation is 0
_LEAVES = Material.LEAVES.value

Pixel = tuple[int, int, int]  # layer of hits, row, column
# Numbers of the draws of one pixel and return, so that none is used twice.
_DRAW_SECOND, _DRAW_LAYER = 1, 100
_DRAW_NOISE, _DRAW_SPREAD, _DRAW_ECHO, _DRAW_STRAY, _DRAW_PASS, _DRAW_FLAT, _DRAW_STRETCH, _DRAW_LONG = range(5, 13)


def measure_returns(lidar: Lidar, hits: Hits, tint: np.ndarray, seed: np.uint64) -> tuple[np.ndarray, np.ndarray]:
    """Turn hits into the two returns that a LiDAR reports.

    Args:
        lidar: The LiDAR: its pixels, its reach, whether it rolls.
        hits: The two nearest surfaces along every ray.
        tint: (objects,) factor on the intensity of tinted materials, by owner.
        seed: Decides noise and losses; equal seeds give equal images.

    Returns:
        First and second return, (H, W, 4) float32 each, channels as in Waymo's range images: range in metres, raw
        intensity, elongation, no-label zone. Pixels without a return are -1 in all channels; the last channel is -1
        (outside) everywhere.
    """
    images = np.full((2, *lidar.shape, 4), -1.0, np.float32)
    limits = lidar.min_range_m, lidar.max_range_m, _REACH_M[0] if lidar.rolls else _REACH_M[1]
    arrays = hits.range_m, hits.cosine, hits.material, hits.owner
    _measure_pixels(*lidar.pixels, limits, lidar.rolls, arrays, tint, tabulate_reflections(), seed, images)
    return images[0], images[1]


@kernel
def _measure_pixels(
    rows: np.ndarray,
    columns: np.ndarray,
    limits: tuple[float, float, float],
    stretches: bool,
    hits: tuple,
    tint: np.ndarray,
    table: np.ndarray,
    seed: np.uint64,
    images: np.ndarray,
) -> None:
    distance, cosine, material, owner = hits
    for p in range(len(rows)):
        i, j = rows[p], columns[p]
        draw = mix_hash(seed, i * distance.shape[2] + j)
        first = distance[0, i, j]
        if not limits[0] <= first <= limits[1]:
            continue
        behind = _find_second_surface(distance, material, i, j, draw)
        reported = 0
        for layer in range(2):
            source = behind if layer else (0, i, j)
            range_m = distance[source]
            if layer and not first + RETURNS_APART_M < range_m <= limits[1]:
                break
            one = mix_hash(draw, _DRAW_LAYER + layer)
            reflection = table[material[source]]
            intensity = _draw_intensity(reflection, cosine[source], owner[source], tint, one)
            if draw_uniform(one, _DRAW_PASS) < reflection[4] or _lose_pulse(
                intensity * (limits[2] / range_m) ** 2, one
            ):
                continue
            echo = intensity * _SECOND_ECHO if layer else intensity
            images[reported, i, j, 0] = range_m + RANGE_NOISE_M * draw_normal(one, _DRAW_NOISE)
            images[reported, i, j, 1] = _round_intensity(min(echo, _LARGEST_INTENSITY))
            images[reported, i, j, 2] = _draw_elongation(reflection[5], cosine[source], one, stretches)
            reported += 1


@kernel
def _find_second_surface(distance: np.ndarray, material: np.ndarray, i: int, j: int, draw: np.uint64) -> Pixel:
    """Where the rest of a pulse goes on to: through leaves, or past an edge; the pixel itself if nowhere."""
    chance = draw_uniform(draw, _DRAW_SECOND)
    if material[0, i, j] == _LEAVES:
        return (1, i, j) if chance < _SECOND_IN_LEAVES else (0, i, j)
    best = 0, i, j
    if chance < _SECOND_AT_EDGES:
        # A pulse wider than the gap between pixels also lands where its neighbours do.
        for di, dj in ((-1, 0), (1, 0), (0, -1), (0, 1)):
            row, column = i + di, (j + dj) % distance.shape[2]
            if 0 <= row < distance.shape[1] and distance[best] < distance[0, row, column] < np.inf:
                best = 0, row, column
    return best


@kernel
def _draw_intensity(reflection: np.ndarray, cosine: float, owner: int, tint: np.ndarray, draw: np.uint64) -> float:
    level, spread, tinted, glance = reflection[0], reflection[1], reflection[2], reflection[3]
    if tinted and owner >= 0:
        level *= tint[owner]
    return level * (1.0 - glance * (1.0 - cosine)) * math.exp(spread * draw_normal(draw, _DRAW_SPREAD))


@kernel
def _lose_pulse(echo: float, draw: np.uint64) -> bool:
    return (
        draw_uniform(draw, _DRAW_ECHO) < _WEAK_ECHO / (_WEAK_ECHO + echo)
        or draw_uniform(draw, _DRAW_STRAY) < _STRAY_LOSS
    )


@kernel
def _draw_elongation(mean: float, cosine: float, draw: np.uint64, stretches: bool) -> float:
    """Stretched pulses come from slanted and rough surfaces; side LiDARs report almost none."""
    if not stretches and draw_uniform(draw, _DRAW_FLAT) < _SIDE_WITHOUT_STRETCH:
        return 0.0
    stretch = -mean * math.log(draw_uniform(draw, _DRAW_STRETCH)) * (1.0 + 0.5 * (1.0 - cosine))
    if draw_uniform(draw, _DRAW_LONG) < _LONG_SHARE:
        stretch *= _LONG_FACTOR
    return min(math.floor(stretch / ELONGATION_STEP + 0.5), 255.0) * ELONGATION_STEP


@kernel
def _round_intensity(value: float) -> float:
    """Rounded to 9 significant bits, as precise as Waymo's intensities are."""
    fraction, exponent = math.frexp(value)
    return math.ldexp(math.floor(fraction * 512.0 + 0.5) / 512.0, exponent)
