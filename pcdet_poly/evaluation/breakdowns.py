"""Waymo's breakdowns: which shard an object or a prediction belongs to, and what the shard is called.

Names and limits as in Waymo Open Dataset 1.6.7. Most breakdowns put a prediction and an object each into
its own shard and match inside shards. VELOCITY and CAMERA look at the object alone: everything of a type
(and in a camera's field of view) is matched, then counted in the object's shard.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pcdet_poly.evaluation.box_tables import Objects, Predictions
from pcdet_poly.evaluation.kernels.outcome_counts import OBJECT_DTYPE, PREDICTION_DTYPE

TYPES = ("VEHICLE", "PEDESTRIAN", "SIGN", "CYCLIST")  # Label.Type is 1 + the position
RANGES_M = (30.0, 50.0)
LARGE_M = 7.0
SPEEDS_M_S = tuple(float(np.float32(limit)) for limit in (0.2, 1.0, 3.0, 10.0))
CAMERAS_DEG = {"FRONT": 0.0, "FRONT-LEFT": 45.0, "FRONT-RIGHT": -45.0, "SIDE-LEFT": 90.0, "SIDE-RIGHT": -90.0}
HALF_VIEW_DEG = 25.2

BoxTable = Predictions | Objects


@dataclass(frozen=True)
class Breakdown:
    """Shards of one breakdown. `shard_of(rows)` is (N,) int64, -1 where a row belongs to none."""

    shards: tuple[str, ...]
    shard_of: Callable[[BoxTable], np.ndarray]


def _shard_by_type(rows: BoxTable, parts: int, part: np.ndarray | int = 0) -> np.ndarray:
    kind = rows.type.astype(np.int64)
    return np.where(kind > 0, parts * (kind - 1) + part, -1)


def _shard_by_range(rows: BoxTable) -> np.ndarray:
    distance_m = np.sqrt((rows.box[:, :3].astype(np.float64) ** 2).sum(axis=1))
    return _shard_by_type(rows, 3, np.searchsorted(RANGES_M, distance_m, side="right"))


def _shard_by_size(rows: BoxTable) -> np.ndarray:
    return _shard_by_type(rows, 2, rows.box[:, 3:6].max(axis=1, initial=0) >= LARGE_M)


def _shard_by_speed(rows: BoxTable) -> np.ndarray:
    """By speed in the world; an object without a known speed stands still."""
    assert isinstance(rows, Objects)
    speed_m_s = np.sqrt((np.nan_to_num(rows.speed, nan=0.0).astype(np.float64) ** 2).sum(axis=1))
    return _shard_by_type(rows, 5, np.searchsorted(SPEEDS_M_S, speed_m_s, side="right"))


def is_in_view(rows: BoxTable, camera: int) -> np.ndarray:
    """(N,) bool: in the camera that took it, or, for a 3D box, with its centre in the camera's field of view."""
    bearing_deg = np.degrees(1.0) * np.arctan2(rows.box[:, 1].astype(np.float64), rows.box[:, 0].astype(np.float64))
    middle_deg = list(CAMERAS_DEG.values())[camera]
    seen = (bearing_deg > middle_deg - HALF_VIEW_DEG) & (bearing_deg < middle_deg + HALF_VIEW_DEG)
    return np.where(rows.image > 0, rows.image == camera + 1, seen)


def _shard_by_camera(rows: BoxTable) -> np.ndarray:
    """The camera the label names as seeing most of the object, else the first that has its centre in view."""
    assert isinstance(rows, Objects)
    first = np.full(len(rows), -1)
    for camera in reversed(range(len(CAMERAS_DEG))):
        first[is_in_view(rows, camera)] = camera
    named = np.where(rows.image > 0, rows.image.astype(np.int64) - 1, first)
    named = np.where((rows.image == 0) & (rows.camera >= 0), rows.camera.astype(np.int64) - 1, named)
    return np.where(named >= 0, _shard_by_type(rows, 5, named), -1)


def _name_shards(prefix: str, parts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{prefix}_TYPE_{kind}_{part}" for kind in TYPES for part in parts)


BREAKDOWNS: dict[str, Breakdown] = {
    "ONE_SHARD": Breakdown(("ONE_SHARD",), lambda rows: np.zeros(len(rows), np.int64)),
    "OBJECT_TYPE": Breakdown(tuple(f"OBJECT_TYPE_TYPE_{kind}" for kind in TYPES), lambda rows: _shard_by_type(rows, 1)),
    "RANGE": Breakdown(_name_shards("RANGE", ("[0, 30)", "[30, 50)", "[50, +inf)")), _shard_by_range),
    "SIZE": Breakdown(_name_shards("SIZE", ("small", "large")), _shard_by_size),
    "VELOCITY": Breakdown(
        _name_shards("VELOCITY", ("STATIONARY", "SLOW", "MEDIUM", "FAST", "VERY_FAST")), _shard_by_speed
    ),
    "ALL_BUT_SIGN": Breakdown(("ALL_BUT_SIGN", "SIGN"), lambda rows: (rows.type == 3).astype(np.int64)),
    "CAMERA": Breakdown(_name_shards("CAMERA", tuple(CAMERAS_DEG)), _shard_by_camera),
}


BREAKDOWNS_BY_OBJECT = {"VELOCITY", "CAMERA"}  # counted by the object's shard alone


@dataclass(frozen=True)
class ShardLayout:
    """Where the counts of a list of breakdowns are kept: the rows of `steps`, and the tasks that fill them."""

    breakdowns: tuple[str, ...]

    @property
    def shards(self) -> tuple[str, ...]:
        """Name of every counted row, in the official order."""
        return tuple(shard for name in self.breakdowns for shard in BREAKDOWNS[name].shards)

    @property
    def num_rows(self) -> int:
        """Rows of `steps`: the shards, then one per type for false alarms near no object (VELOCITY)."""
        return len(self.shards) + len(TYPES)

    def find_first_row(self, breakdown: str) -> int:
        """First row of a breakdown's shards."""
        before = self.breakdowns[: self.breakdowns.index(breakdown)]
        return sum(len(BREAKDOWNS[name].shards) for name in before)

    def tasks(
        self, predictions: Predictions, objects: Objects, cutoff: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(T, P) PREDICTION, (T, M) OBJECT and (T,) bool `by_object` of the tasks of a chunk of frames.

        `cutoff` (P,) is the highest cut-off that each prediction passes.
        """
        tasks = [task for name in self.breakdowns for task in self._tasks(name, predictions, objects)]
        of_predictions = np.zeros((len(tasks), len(predictions)), PREDICTION_DTYPE)
        of_objects = np.zeros((len(tasks), len(objects)), OBJECT_DTYPE)
        of_predictions["cutoff"], of_predictions["ignored"] = cutoff, predictions.in_no_label_zone
        of_objects["level"] = objects.level
        for t, (group, object_group, row, object_row, _) in enumerate(tasks):
            of_predictions["group"][t], of_predictions["row"][t] = group, row
            of_objects["group"][t], of_objects["row"][t] = object_group, object_row
        return of_predictions, of_objects, np.array([task[4] for task in tasks])

    def _tasks(
        self, name: str, predictions: Predictions, objects: Objects
    ) -> list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, bool]]:
        """(prediction group, object group, prediction row, object row, by object) of each task."""
        row = self.find_first_row(name)
        own = BREAKDOWNS[name].shard_of(objects)
        object_row = np.where(own >= 0, own + row, -1)
        if name == "VELOCITY":
            group, object_group = _shard_by_type(predictions, 1), _shard_by_type(objects, 1)
            return [(group, object_group, np.where(group >= 0, group + len(self.shards), -1), object_row, True)]
        if name == "CAMERA":
            return [self._camera_task(camera, predictions, objects, row, own) for camera in range(len(CAMERAS_DEG))]
        shard = BREAKDOWNS[name].shard_of(predictions)
        return [(shard, own, np.where(shard >= 0, shard + row, -1), object_row, False)]

    def _camera_task(
        self, camera: int, predictions: Predictions, objects: Objects, row: int, own: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, bool]:
        group = np.where(is_in_view(predictions, camera), _shard_by_type(predictions, 1), -1)
        object_group = np.where(is_in_view(objects, camera), _shard_by_type(objects, 1), -1)
        prediction_row = np.where(group >= 0, row + _shard_by_type(predictions, 5, camera), -1)
        object_row = np.where(own == _shard_by_type(objects, 5, camera), own + row, -1)
        return group, object_group, prediction_row, object_row, True

    def gather_shards(self, counts: np.ndarray, fp: int) -> np.ndarray:
        """Counts (..., shards, NUM_COUNTS, C) of all rows (..., num_rows, NUM_COUNTS, C).

        A false alarm near no object counts in every VELOCITY shard of its type.
        """
        shards = counts[..., : len(self.shards), :, :].copy()
        if "VELOCITY" in self.breakdowns:
            row = self.find_first_row("VELOCITY")
            everywhere = counts[..., len(self.shards) :, fp, :]
            shards[..., row : row + 5 * len(TYPES), fp, :] += np.repeat(everywhere, 5, axis=-2)
        return shards
