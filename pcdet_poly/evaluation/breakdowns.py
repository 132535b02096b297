"""Waymo's breakdowns: which shard an object or a prediction belongs to, and what the shard is called.

Names and limits as in Waymo Open Dataset 1.6.7. Most breakdowns put a prediction and an object each into
its own shard and match inside shards. VELOCITY and CAMERA look at the object alone: everything of a type
(and in a camera's field of view) is matched, then counted in the object's shard.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pcdet_poly.evaluation.box_tables import BoxTable, Objects

RANGES_M = (30.0, 50.0)
LARGE_M = 7.0
SPEEDS_M_S = tuple(float(np.float32(limit)) for limit in (0.2, 1.0, 3.0, 10.0))
CAMERAS_DEG = {"FRONT": 0.0, "FRONT-LEFT": 45.0, "FRONT-RIGHT": -45.0, "SIDE-LEFT": 90.0, "SIDE-RIGHT": -90.0}
HALF_VIEW_DEG = 25.2


@dataclass(frozen=True)
class Breakdown:
    """The shards of one breakdown."""

    name_shards: Callable[[Sequence[str]], tuple[str, ...]]  # types of objects, from type 1 on -> names
    find_shard: Callable[[BoxTable], np.ndarray]  # rows (N) -> (N,) int64 position among these, -1 for none


def shard_by_type(rows: BoxTable, num_parts: int, part: np.ndarray | int = 0) -> np.ndarray:
    """Number shards that cut every type into parts, one type after the other.

    Args:
        rows: N boxes.
        num_parts: into how many parts each type is cut.
        part: (N,) part of each box, from 0, or one for all.

    Returns:
        (N,) int64 shard, -1 for boxes of unknown type.
    """
    kind = rows.type.astype(np.int64)
    return np.where(kind > 0, num_parts * (kind - 1) + part, -1)


def _shard_by_range(rows: BoxTable) -> np.ndarray:
    distance_m = np.sqrt((rows.box[:, :3].astype(np.float64) ** 2).sum(axis=1))
    return shard_by_type(rows, 3, np.searchsorted(RANGES_M, distance_m, side="right"))


def _shard_by_size(rows: BoxTable) -> np.ndarray:
    return shard_by_type(rows, 2, rows.box[:, 3:6].max(axis=1, initial=0) >= LARGE_M)


def _shard_by_speed(rows: BoxTable) -> np.ndarray:
    """Number shards by the object's speed in the world; an object without a known speed stands still."""
    assert isinstance(rows, Objects)
    speed_m_s = np.sqrt((np.nan_to_num(rows.speed, nan=0.0).astype(np.float64) ** 2).sum(axis=1))
    return shard_by_type(rows, 5, np.searchsorted(SPEEDS_M_S, speed_m_s, side="right"))


def is_in_view(rows: BoxTable, camera: int) -> np.ndarray:
    """Tell which boxes a camera sees, (N,) bool.

    A box of a camera image is seen by that camera, a 3D box by those with its centre in their field of view.
    """
    bearing_deg = np.degrees(1.0) * np.arctan2(rows.box[:, 1].astype(np.float64), rows.box[:, 0].astype(np.float64))
    middle_deg = list(CAMERAS_DEG.values())[camera]
    in_field = (bearing_deg > middle_deg - HALF_VIEW_DEG) & (bearing_deg < middle_deg + HALF_VIEW_DEG)
    return np.where(rows.image > 0, rows.image == camera + 1, in_field)


def _shard_by_camera(rows: BoxTable) -> np.ndarray:
    """Number shards by the camera that the label names as seeing most of the object, else the first that sees it."""
    assert isinstance(rows, Objects)
    first = np.full(len(rows), -1)
    for camera in reversed(range(len(CAMERAS_DEG))):
        first[is_in_view(rows, camera)] = camera
    chosen = np.where(rows.image > 0, rows.image.astype(np.int64) - 1, first)
    chosen = np.where((rows.image == 0) & (rows.camera >= 0), rows.camera.astype(np.int64) - 1, chosen)
    return np.where(chosen >= 0, shard_by_type(rows, 5, chosen), -1)


def _name_shards(prefix: str, parts: tuple[str, ...]) -> Callable[[Sequence[str]], tuple[str, ...]]:
    return lambda types: tuple(f"{prefix}_TYPE_{kind}_{part}" for kind in types for part in parts)


BREAKDOWNS: dict[str, Breakdown] = {
    "ONE_SHARD": Breakdown(lambda types: ("ONE_SHARD",), lambda rows: np.zeros(len(rows), np.int64)),
    "OBJECT_TYPE": Breakdown(
        lambda types: tuple(f"OBJECT_TYPE_TYPE_{kind}" for kind in types), lambda rows: shard_by_type(rows, 1)
    ),
    "RANGE": Breakdown(_name_shards("RANGE", ("[0, 30)", "[30, 50)", "[50, +inf)")), _shard_by_range),
    "SIZE": Breakdown(_name_shards("SIZE", ("small", "large")), _shard_by_size),
    "VELOCITY": Breakdown(
        _name_shards("VELOCITY", ("STATIONARY", "SLOW", "MEDIUM", "FAST", "VERY_FAST")), _shard_by_speed
    ),
    "ALL_BUT_SIGN": Breakdown(lambda types: ("ALL_BUT_SIGN", "SIGN"), lambda rows: (rows.type == 3).astype(np.int64)),
    "CAMERA": Breakdown(_name_shards("CAMERA", tuple(CAMERAS_DEG)), _shard_by_camera),
}
BREAKDOWNS_BY_OBJECT = {"VELOCITY", "CAMERA"}  # counted by the object's shard alone
