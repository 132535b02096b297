"""Where the counts of a list of breakdowns are kept, and which boxes each of them matches with each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pcdet_poly.evaluation.box_tables import Objects, Predictions
from pcdet_poly.evaluation.breakdowns import BREAKDOWNS, CAMERAS_DEG, is_in_view, shard_by_type
from pcdet_poly.evaluation.kernels.outcome_counts import OBJECT_DTYPE, PREDICTION_DTYPE
from pcdet_poly.structures import WAYMO_CLASSES


@dataclass(frozen=True)
class Grouping:
    """One matching of the boxes of a chunk of frames: a box may match those of its group, -1 for none.

    The rows say where an unmatched prediction or an object is counted, -1 for nowhere.
    """

    prediction_group: np.ndarray  # (P,)
    object_group: np.ndarray  # (M,)
    prediction_row: np.ndarray  # (P,)
    object_row: np.ndarray  # (M,)
    by_object: bool  # a false alarm near an object counts in that object's row


@dataclass(frozen=True)
class GroupedBoxes:
    """All T groupings of a chunk of frames, as the kernels take them."""

    predictions: np.ndarray  # (T, P) PREDICTION_DTYPE
    objects: np.ndarray  # (T, M) OBJECT_DTYPE
    by_object: np.ndarray  # (T,) bool


@dataclass(frozen=True)
class ShardLayout:
    """The rows in which the counts of a list of breakdowns are kept."""

    breakdowns: tuple[str, ...]
    types: tuple[str, ...] = WAYMO_CLASSES  # of objects, from type 1 on

    @property
    def shards(self) -> tuple[str, ...]:
        """Name of every counted row, in the official order."""
        return tuple(shard for name in self.breakdowns for shard in BREAKDOWNS[name].name_shards(self.types))

    @property
    def num_rows(self) -> int:
        """Number of rows: the shards, then one per type for false alarms near no object (VELOCITY)."""
        return len(self.shards) + len(self.types)

    def find_first_row(self, breakdown: str) -> int:
        """Return the first row of a breakdown's shards."""
        before = self.breakdowns[: self.breakdowns.index(breakdown)]
        return sum(len(BREAKDOWNS[name].name_shards(self.types)) for name in before)

    def count_objects(self, objects: Objects) -> np.ndarray:
        """Count the objects that are missed where nothing is found, (shards, 2) int64 at LEVEL_1 and LEVEL_2."""
        counts = np.zeros((len(self.shards), 2), np.int64)
        for name in self.breakdowns:
            shard = BREAKDOWNS[name].find_shard(objects)
            for level in (1, 2):
                rows = shard[(shard >= 0) & (objects.level <= level)] + self.find_first_row(name)
                counts[:, level - 1] += np.bincount(rows, minlength=len(counts))
        return counts

    def group_boxes(self, predictions: Predictions, objects: Objects, cutoff: np.ndarray) -> GroupedBoxes:
        """Group the boxes of a chunk of frames for every matching that the breakdowns ask for.

        Args:
            predictions: P predictions.
            objects: M objects.
            cutoff: (P,) the highest cut-off that each prediction passes, -1 for none.

        Returns:
            The groupings, in the order of the breakdowns; CAMERA has one per camera.
        """
        groupings = [one for name in self.breakdowns for one in self._list_groupings(name, predictions, objects)]
        shape = (len(groupings), len(predictions))
        return GroupedBoxes(
            _fill_records(
                PREDICTION_DTYPE,
                shape,
                cutoff=cutoff,
                ignored=predictions.in_no_label_zone,
                group=_stack_rows([one.prediction_group for one in groupings], shape),
                row=_stack_rows([one.prediction_row for one in groupings], shape),
            ),
            _fill_records(
                OBJECT_DTYPE,
                (len(groupings), len(objects)),
                group=_stack_rows([one.object_group for one in groupings], (len(groupings), len(objects))),
                row=_stack_rows([one.object_row for one in groupings], (len(groupings), len(objects))),
                level=objects.level,
            ),
            np.array([one.by_object for one in groupings]),
        )

    def _list_groupings(self, name: str, predictions: Predictions, objects: Objects) -> list[Grouping]:
        """Return the matchings of one breakdown."""
        row = self.find_first_row(name)
        shard = BREAKDOWNS[name].find_shard(objects)
        object_row = np.where(shard >= 0, shard + row, -1)
        if name == "VELOCITY":
            group, object_group = shard_by_type(predictions, 1), shard_by_type(objects, 1)
            prediction_row = np.where(group >= 0, group + len(self.shards), -1)
            return [Grouping(group, object_group, prediction_row, object_row, by_object=True)]
        if name == "CAMERA":
            return [_group_by_camera(camera, predictions, objects, row, shard) for camera in range(len(CAMERAS_DEG))]
        group = BREAKDOWNS[name].find_shard(predictions)
        return [Grouping(group, shard, np.where(group >= 0, group + row, -1), object_row, by_object=False)]

    def gather_shards(self, counts: np.ndarray, fp: int) -> np.ndarray:
        """Gather the counts of the shards from those of all rows.

        A false alarm near no object counts in every VELOCITY shard of its type.

        Args:
            counts: (..., num_rows, NUM_COUNTS, C).
            fp: position of the false positives in NUM_COUNTS.

        Returns:
            (..., shards, NUM_COUNTS, C).
        """
        shards = counts[..., : len(self.shards), :, :].copy()
        if "VELOCITY" in self.breakdowns:
            row = self.find_first_row("VELOCITY")
            everywhere = counts[..., len(self.shards) :, fp, :]
            shards[..., row : row + 5 * len(self.types), fp, :] += np.repeat(everywhere, 5, axis=-2)
        return shards


def _group_by_camera(
    camera: int, predictions: Predictions, objects: Objects, first_row: int, shard: np.ndarray
) -> Grouping:
    """Return the matching of what one camera sees; `shard` (M,) is each object's among all cameras."""
    group = np.where(is_in_view(predictions, camera), shard_by_type(predictions, 1), -1)
    object_group = np.where(is_in_view(objects, camera), shard_by_type(objects, 1), -1)
    prediction_row = np.where(group >= 0, first_row + shard_by_type(predictions, 5, camera), -1)
    object_row = np.where(shard == shard_by_type(objects, 5, camera), shard + first_row, -1)
    return Grouping(group, object_group, prediction_row, object_row, by_object=True)


def _fill_records(dtype: np.dtype[Any], shape: tuple[int, int], **columns: np.ndarray) -> np.ndarray:
    """Return records of `shape` whose fields are `columns`, each broadcast to it."""
    records = np.zeros(shape, dtype)
    for name, values in columns.items():
        records[name] = values
    return records


def _stack_rows(rows: Sequence[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """Return T rows as an array of `shape`, also where T is 0."""
    return np.stack(rows) if rows else np.zeros(shape, np.int64)
