"""Random access to the objects of an object bank, whose file is mapped into memory."""

from __future__ import annotations

import os
from bisect import bisect_right
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from pcdet_poly.data.bank.bank_file import (
    BankColumns,
    BankHeader,
    BankObject,
    check_batches,
    decode_object,
    read_header,
    view_columns,
)
from pcdet_poly.errors import UserError
from pcdet_poly.evaluation.box_tables import decide_level

_AGAIN = "delete it and run pcdet-poly build-bank again"


class ObjectBank:
    """The objects of the file at `path`, by position. Opening reads a few numbers per object, and no points.

    An object's checksum is verified whenever it is read. A bank can be pickled for other processes.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.header, self._batches = _map_bank(self.path)
        self._ends = list(accumulate(len(columns.label) for columns in self._batches))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, index: int) -> BankObject:
        """Read object `index`, from 0; raise `UserError` if it is damaged."""
        columns, row = self._locate(index)
        try:
            return decode_object(columns, row)
        except ValueError as error:
            raise UserError(f"{self.path}: object {index}: {error}, the file is damaged; {_AGAIN}") from error

    def __reduce__(self) -> tuple[type[ObjectBank], tuple[Path]]:
        return ObjectBank, (self.path,)

    def read_column(self, name: str) -> np.ndarray:
        """Read label, level, num_points, frame, segment or timestamp_us of every object, (N,), without verification."""
        return np.concatenate([np.zeros(0, np.int8), *(getattr(columns, name) for columns in self._batches)])

    def read_boxes(self, index: np.ndarray) -> np.ndarray:
        """Read the boxes (M, 7) float32 of the objects at `index` (M,), without verification."""
        located = [self._locate(int(i)) for i in index]
        return np.array([columns.box[row] for columns, row in located], np.float32).reshape(-1, 7)

    def read_labels(self, index: np.ndarray) -> np.ndarray:
        """Read the labels (M,) int64, positions in the bank's classes, of the objects at `index` (M,)."""
        located = [self._locate(int(i)) for i in index]
        return np.array([columns.label[row] for columns, row in located], np.int64)

    def read_frame_id(self, index: int) -> str:
        """Read the `Frame.frame_id` of the frame that object `index` is from."""
        bank_object = self[index]
        return f"{self.header.segments[bank_object.segment]}/{bank_object.timestamp_us}"

    def select(self, class_name: str, *, min_points: int = 1, max_level: int = 2, every: int = 1) -> np.ndarray:
        """Select the objects of a class.

        Args:
            class_name: one of the bank's classes.
            min_points: LiDAR points that an object must have.
            max_level: highest difficulty; if nobody annotated it, it is 2 for up to five points, else 1.
            every: take objects of every `every`-th frame only.

        Returns:
            (N,) int32, positions in the bank.

        Raises:
            UserError: if the bank has no such class.
        """
        if class_name not in self.header.class_names:
            raise UserError(f"{self.path}: no class {class_name} in it, only {', '.join(self.header.class_names)}")
        label = self.header.class_names.index(class_name)
        positions = [np.zeros(0, np.int32)]
        for columns, end in zip(self._batches, self._ends, strict=True):
            num_points = columns.num_points
            chosen = (columns.label == label) & (num_points >= min_points) & (columns.frame % every == 0)
            chosen &= decide_level(columns.level, num_points) <= max_level
            positions.append(np.flatnonzero(chosen).astype(np.int32) + np.int32(end - len(chosen)))
        return np.concatenate(positions)

    def _locate(self, index: int) -> tuple[BankColumns, int]:
        """Find the batch that holds object `index`, and its row there."""
        if not 0 <= index < len(self):
            raise IndexError(f"{self.path}: object {index} of {len(self)}")
        batch = bisect_right(self._ends, index)
        return self._batches[batch], index - (self._ends[batch - 1] if batch else 0)


def _map_bank(path: Path) -> tuple[BankHeader, list[BankColumns]]:
    """Map a file into memory: its header, and its batches as arrays that lie in the file."""
    import pyarrow as pa

    if not path.is_file():
        raise UserError(f"{path}: no such object bank; make one with pcdet-poly build-bank")
    try:
        reader: Any = pa.ipc.open_file(pa.memory_map(os.fsencode(path)))
        header = read_header(reader.schema.metadata, str(path))
        batches = [reader.get_batch(i) for i in range(reader.num_record_batches)]
        for batch in batches:
            batch.validate()
        columns = [view_columns(batch) for batch in batches]
        check_batches(reader.schema.metadata, columns)
        return header, columns
    except UserError:
        raise
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise UserError(f"{path}: not an object bank, cut off or damaged; {_AGAIN}") from error
