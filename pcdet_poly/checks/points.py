"""What a cloud must satisfy: finite, in metres around the vehicle, z up, intensity and elongation to scale."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from pcdet_poly.checks.findings import Finding

MAX_MEDIAN_M = 400.0  # half of the points of any LiDAR are nearer
_MIN_EXTENT_M = 2.0  # a cloud around a car is larger
_LOW_M = 10.0  # a cloud that is no higher may stand anyhow
_SATURATED = 3.0  # tanh of this is 0.995
_MAX_ELONGATION = 4.0  # Waymo's reach 1.5
_SAMPLE = 2048  # points that are looked at for scales
_BLOCK = 16384  # points that are looked at in one go, so that what is said of each stays in the cache
_COPIED = 0.2  # share of points that are not there twice by accident
_FEW = 100  # points that say nothing of scales
_MULTIPLIERS = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9], np.uint64)  # odd, bits mixed


def has_finite_points(points: np.ndarray) -> bool:
    """Whether all numbers of points (P, C) are finite."""
    blocks = (points[first : first + _BLOCK] for first in range(0, len(points), _BLOCK))
    return all(bool(np.isfinite(block).all()) for block in blocks)


def drop_broken_points(points: np.ndarray) -> np.ndarray:
    """Leave out the points (P, C) that have a number that is not finite; the same array where there is none."""
    return points if has_finite_points(points) else points[np.isfinite(points).all(axis=1)]


def find_copied_points(points: np.ndarray) -> Finding | None:
    """Say so where a fifth of the points (P, C) or more have the place of another one to the last bit."""
    if len(points) < _FEW:
        return None
    place = np.ascontiguousarray(points[:, :3], np.float32).view(np.uint32)
    if _bound_copies(place) < _COPIED * len(points):
        return None
    key = np.sort(place.astype(np.uint64) @ _MULTIPLIERS)
    copies = int((key[1:] == key[:-1]).sum())
    if copies < _COPIED * len(points):
        return None
    return Finding("same points", f"{copies} of {len(points)} points have the place of another: joined twice?", False)


def _bound_copies(place: np.ndarray) -> int:
    """Count at least as many copies as there are among places (P, 3) of whole numbers, in a fifth of a sort's time.

    Equal places mark one slot of a table, and so do few others: it has eight slots a point or more.
    """
    bits = min((8 * len(place)).bit_length(), 32)
    x, y, z = _MULTIPLIERS.astype(np.uint32)
    slot = place[:, 0] * x + place[:, 1] * y + place[:, 2] * z
    is_marked = np.zeros(1 << bits, bool)
    is_marked[slot >> np.uint32(32 - bits)] = True
    return len(place) - int(np.count_nonzero(is_marked))


def find_point_faults(points: np.ndarray, columns: Sequence[str]) -> Iterator[Finding]:
    """Yield what cannot or should not be in a cloud.

    Args:
        points: (P, C) float32, metres in the vehicle frame.
        columns: names of the C columns.
    """
    if not len(points):
        yield Finding("no points", "no points in it", is_error=False)
        return
    if not has_finite_points(points):
        broken = ~np.isfinite(points)
        row, column = np.argwhere(broken)[0]
        yield Finding(
            "points",
            f"{int(broken.any(axis=1).sum())} points are not finite, the first is point {row}: "
            f"{columns[column]} = {points[row, column]}; leave such points out",
        )
        return
    if len(points) < _FEW:
        return
    sample = points[:: max(len(points) // _SAMPLE, 1)]
    yield from _find_place_faults(sample[:, :3])
    if "intensity" in columns:
        yield from _find_intensity_faults(sample[:, columns.index("intensity")])
    if "elongation" in columns:
        yield from _find_elongation_faults(sample[:, columns.index("elongation")])


def _find_place_faults(xyz: np.ndarray) -> Iterator[Finding]:
    reach = np.abs(xyz.T.copy()).max(axis=0)
    farthest = float(reach.max())
    median = float(np.median(reach)) if farthest > MAX_MEDIAN_M else farthest
    if median > MAX_MEDIAN_M:
        yield Finding(
            "point place",
            f"half of the points are farther than {median:,.0f} m: coordinates of the world (UTM), centimetres or "
            "millimetres? points are in metres in the vehicle frame",
        )
        return
    if farthest < _MIN_EXTENT_M:
        text = f"all points lie within {farthest:g} m of the vehicle's origin: kilometres?"
        yield Finding("small-cloud", f"{text} points are in metres in the vehicle frame")
    if np.ptp(np.percentile(xyz[:, 2], (10, 90))) < 0.99 * _LOW_M:  # as in most clouds, whatever x and y are
        return
    low, high = np.percentile(xyz, (10, 90), axis=0)
    spread = high - low
    if spread[2] > 1.5 * min(spread[0], spread[1]) and spread[2] > _LOW_M:
        text = (
            f"the cloud is {spread[2]:.0f} m high and {spread[0]:.0f} by {spread[1]:.0f} m wide: is z up? points are "
            "in the vehicle frame, x forward, y left, z up"
        )
        yield Finding("z-axis", text, is_error=bool(spread[2] > 3 * min(spread[0], spread[1]) and spread[2] > 15))


def _find_intensity_faults(intensity: np.ndarray) -> Iterator[Finding]:
    share = float((intensity > _SATURATED).mean())
    if share > 0.5:
        text = (
            f"{100 * share:.0f} % of the points have an intensity above {_SATURATED:g} (largest {intensity.max():g}), "
            "which a network sees as 1: from 0 to 255? divide by 255"
        )
        yield Finding("intensity", text, False)
    if float(intensity.min()) < 0:
        yield Finding("negative intensity", f"an intensity is {intensity.min():g}: negative?", False)


def _find_elongation_faults(elongation: np.ndarray) -> Iterator[Finding]:
    highest = float(elongation.max())
    if highest > _MAX_ELONGATION and bool((elongation == np.rint(elongation)).all()):
        text = f"elongations are whole numbers up to {highest:g}: ring numbers or times? leave that column out"
        yield Finding("elongation", text, False)
    elif highest > 100 * _MAX_ELONGATION or float(elongation.min()) < -_MAX_ELONGATION:
        text = f"elongations from {elongation.min():g} to {highest:g}, where Waymo's are from 0 to 1.5: another column?"
        yield Finding("elongation", text, False)
