"""A dataset: several stores as one list of frames."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from pcdet_poly.data.store.frame_store import Store
from pcdet_poly.errors import UserError
from pcdet_poly.paths import AnyPath
from pcdet_poly.structures import Frame


class FrameDataset:
    """Every `every`-th frame of the concatenated list of frames of `stores`, in order.

    `every=5` is what OpenPCDet's configs mean by 20 % of Waymo. `segments_every=5` is the other meaning:
    all frames of every fifth segment of the concatenated list of segments. With both, frames are counted
    over the segments that are left. A dataset can be pickled for other processes.
    """

    def __init__(self, stores: Sequence[str | AnyPath], *, every: int = 1, segments_every: int = 1) -> None:
        if not stores:
            raise UserError("no frame store given; set data.train and data.val to what pcdet-poly preprocess made")
        self._stores = [Store(folder) for folder in stores]
        self._ends = list(accumulate(len(store) for store in self._stores))
        # Positions in the concatenated list of all frames.
        self._positions = _select_positions(self._stores, segments_every)[::every]
        if not len(self):
            raise UserError(f"{', '.join(map(str, stores))}: no frames in it; convert some data first")

    def __len__(self) -> int:
        return len(self._positions)

    def __getitem__(self, index: int) -> Frame:
        """Read frame `index`; a negative index counts from the end."""
        store, position = self._locate(index)
        return store[position]

    def read_labels(self, index: int) -> Frame:
        """Read frame `index` without its points."""
        store, position = self._locate(index)
        return store.read_labels(position)

    def read_frames_before(self, index: int, count: int) -> list[Frame]:
        """Read up to `count` frames that were recorded before frame `index` in its segment, the nearest first.

        They need not be in this list. There are fewer at a segment's start.
        """
        store, position = self._locate(index)
        return store.read_frames_before(position, count)

    @property
    def frame_ids(self) -> tuple[str, ...]:
        """`Frame.frame_id` of every frame, taken from the manifests."""
        every = [frame_id for store in self._stores for frame_id in store.frame_ids]
        return tuple(every[position] for position in self._positions)

    def _locate(self, index: int) -> tuple[Store, int]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"frame {index} of {len(self)}")
        position = int(self._positions[index])
        store = bisect_right(self._ends, position)
        return self._stores[store], position - (self._ends[store - 1] if store else 0)


def _select_positions(stores: Sequence[Store], segments_every: int) -> np.ndarray:
    """Select the frames of every n-th segment; returns (F,) int64 positions in the list of all frames."""
    num_frames = np.array([entry.num_frames for store in stores for entry in store.manifest.segments], np.int64)
    kept = np.arange(len(num_frames)) % segments_every == 0
    return np.flatnonzero(np.repeat(kept, num_frames))
