"""Several stores as one list of frames."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

from pcdet_poly.data.store import Store
from pcdet_poly.errors import UserError
from pcdet_poly.structures import Frame


class FrameDataset:
    """Every `every`-th frame of the concatenated list of frames of `stores`, in order.

    `every=5` is what OpenPCDet's configs mean by 20 % of Waymo. Can be sent to other processes.
    """

    def __init__(self, stores: Sequence[str | Path], *, every: int = 1) -> None:
        if not stores:
            raise UserError("no frame store given; set data.train and data.val to folders made by data_tools/")
        self._stores = [Store(folder) for folder in stores]
        self._ends = list(accumulate(len(store) for store in self._stores))
        self._every = every
        if not len(self):
            raise UserError(f"{', '.join(map(str, stores))}: no frames in it; convert some data first")

    def __len__(self) -> int:
        return -(-self._ends[-1] // self._every)

    def __getitem__(self, index: int) -> Frame:
        """Frame `index`; negative counts from the end."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"frame {index} of {len(self)}")
        position = (index % len(self)) * self._every
        store = bisect_right(self._ends, position)
        first = self._ends[store - 1] if store else 0
        return self._stores[store][position - first]

    @property
    def frame_ids(self) -> tuple[str, ...]:
        """`Frame.frame_id` of every frame, without reading any."""
        every = [frame_id for store in self._stores for frame_id in store.frame_ids]
        return tuple(every[:: self._every])
