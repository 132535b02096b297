"""A file of labelled objects with their points, mapped into memory: any object at once, none held."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from pcdet_poly.data.bank.bank_file import BankHeader, BankObject, decode_object, read_header, view_columns
from pcdet_poly.errors import UserError
from pcdet_poly.evaluation.box_tables import decide_level

_AGAIN = "delete it and run data_tools/build_object_bank.py again"


class ObjectBank:
    """The objects of the file at `path`, by position. Opening looks at a few numbers of each, not at points.

    An object's checksum is verified whenever it is read. Can be sent to other processes.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.header, self._batches = _map_bank(self.path)
        self._ends = list(accumulate(len(views["label"]) for views in self._batches))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, index: int) -> BankObject:
        """Object `index`, from 0."""
        views, row = self._locate(index)
        try:
            return decode_object(views, row)
        except ValueError as error:
            raise UserError(f"{self.path}: object {index}: {error}, the file is damaged; {_AGAIN}") from error

    def __reduce__(self) -> tuple[type[ObjectBank], tuple[Path]]:
        return ObjectBank, (self.path,)

    def read_column(self, name: str) -> np.ndarray:
        """label, level, num_points, frame, segment or timestamp_us of every object, (N,). Not verified."""
        return np.concatenate([np.zeros(0, np.int8), *(views[name] for views in self._batches)])

    def read_boxes(self, index: np.ndarray) -> np.ndarray:
        """(M, 7) float32 boxes of the objects at `index` (M,). Not verified."""
        places = [self._locate(int(i)) for i in index]
        return np.array([views["box"][row] for views, row in places], np.float32).reshape(-1, 7)

    def read_frame_id(self, index: int) -> str:
        """`Frame.frame_id` of the frame that object `index` is from."""
        found = self[index]
        return f"{self.header.segments[found.segment]}/{found.timestamp_us}"

    def select(self, class_name: str, *, min_points: int = 1, max_level: int = 2, every: int = 1) -> np.ndarray:
        """Positions (N,) int32 of the objects of a class with at least so many points, at most of this difficulty,
        from every `every`-th frame. Where nobody annotated a difficulty, it is 2 for up to five points, else 1."""
        if class_name not in self.header.class_names:
            raise UserError(f"{self.path}: no class {class_name} in it, only {', '.join(self.header.class_names)}")
        label = self.header.class_names.index(class_name)
        positions = [np.zeros(0, np.int32)]
        for views, end in zip(self._batches, self._ends, strict=True):
            num_points = views["num_points"]
            chosen = (views["label"] == label) & (num_points >= min_points) & (views["frame"] % every == 0)
            chosen &= decide_level(views["level"], num_points) <= max_level
            positions.append(np.flatnonzero(chosen).astype(np.int32) + np.int32(end - len(chosen)))
        return np.concatenate(positions)

    def _locate(self, index: int) -> tuple[dict[str, np.ndarray], int]:
        if not 0 <= index < len(self):
            raise IndexError(f"{self.path}: object {index} of {len(self)}")
        batch = bisect_right(self._ends, index)
        return self._batches[batch], index - (self._ends[batch - 1] if batch else 0)


def _map_bank(path: Path) -> tuple[BankHeader, list[dict[str, np.ndarray]]]:
    """The file's header and its batches as arrays that lie in the file."""
    import pyarrow as pa

    if not path.is_file():
        raise UserError(f"{path}: no such object bank; make one with data_tools/build_object_bank.py")
    try:
        reader: Any = pa.ipc.open_file(pa.memory_map(str(path)))
        header = read_header(reader.schema.metadata, str(path))
        batches = [reader.get_batch(i) for i in range(reader.num_record_batches)]
        for batch in batches:
            batch.validate()
        return header, [view_columns(batch) for batch in batches]
    except UserError:
        raise
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise UserError(f"{path}: not an object bank, cut off or damaged; {_AGAIN}") from error
