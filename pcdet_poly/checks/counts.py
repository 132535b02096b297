"""Whether boxes and points belong together: points counted in boxes beside what labels say, over a segment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pcdet_poly.checks.findings import Finding
from pcdet_poly.structures import GroundTruth

_NEAR_M = 50.0  # objects this near are hit by any LiDAR
_SEEN = 5  # labelled points of an object that cannot have none
_ENOUGH = 10  # objects from which on shares say something


@dataclass
class CountComparison:
    """Counts over the objects that were looked at."""

    objects: int = 0
    without_count: int = 0  # labelled with 0 points, although some were counted
    counted_some: int = 0
    seen: int = 0  # labelled with enough points
    lost: int = 0  # of these, without a counted one
    near: int = 0
    near_empty: int = 0  # of these, without a counted point

    def add(self, objects: GroundTruth, counted: np.ndarray) -> None:
        """Take in the labels of one frame that has points, and the points (N,) counted in each box."""
        near, seen = np.hypot(objects.box[:, 0], objects.box[:, 1]) < _NEAR_M, objects.num_points >= _SEEN
        self.objects += len(objects)
        self.counted_some += int((counted > 0).sum())
        self.without_count += int(((counted > 0) & (objects.num_points <= 0)).sum())
        self.seen += int(seen.sum())
        self.lost += int((seen & (counted == 0)).sum())
        self.near += int(near.sum())
        self.near_empty += int((near & (counted == 0)).sum())

    def merge(self, other: CountComparison) -> None:
        """Add what another one counted."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    def find_faults(self) -> Iterator[Finding]:
        """Yield what the shares tell."""
        frames = (
            "are boxes and points in one frame (camera boxes, y forward, z of the bottom, other headings or units)?"
        )
        if self.seen >= _ENOUGH and self.lost > 0.5 * self.seen:
            text = f"{self.lost} of {self.seen} boxes labelled with {_SEEN} points or more hold none: {frames}"
            yield Finding("points in boxes", text, False)
        elif self.near >= _ENOUGH and self.near_empty > 0.8 * self.near:
            text = f"{self.near_empty} of {self.near} boxes within {_NEAR_M:.0f} m hold no point: {frames}"
            yield Finding("points in boxes", text, False)
        if self.counted_some >= _ENOUGH and self.without_count > 0.9 * self.counted_some:
            text = (
                f"{self.without_count} of {self.counted_some} boxes with points are labelled with 0: counts "
                "are missing, and training leaves such boxes out (data.min_points: 0 takes them)"
            )
            yield Finding("no counts", text, False)
