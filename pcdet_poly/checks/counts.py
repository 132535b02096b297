"""Whether boxes and points belong together: points counted in boxes beside what labels say, over a segment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from pcdet_poly.checks.findings import Finding
from pcdet_poly.structures import GroundTruth

_NEAR_M = 50.0  # objects this near are hit by any LiDAR
_SEEN = 5  # labelled points of an object that cannot have none
_ENOUGH = 10  # objects from which on shares say something
_SURE = 50  # and from which on they are no accident
_FEW = 5  # objects of one frame that are not all misplaced by accident
_FRAMES = "are boxes and points in one frame (camera boxes, y forward, z of the bottom, other headings or units)?"


@dataclass(frozen=True)
class _Change:
    """Another way to read the numbers of boxes, with which they would hold more points if it were the right one."""

    kind: str
    make: Callable[[np.ndarray], np.ndarray]  # boxes (N, 7) -> boxes
    text: str


def _raise_boxes(box: np.ndarray) -> np.ndarray:
    return np.column_stack([box[:, :2], box[:, 2] + box[:, 5] / 2, box[:, 3:]])


def _turn_boxes(box: np.ndarray) -> np.ndarray:
    return np.column_stack([box[:, :6], box[:, 6] + np.float32(np.pi / 2)])


CHANGES = (
    _Change(
        "z of the bottom",
        _raise_boxes,
        "they are raised by half their height: is z that of the bottom? a box's centre is its middle",
    ),
    _Change(
        "clockwise",
        lambda box: box * np.array([1, 1, 1, 1, 1, 1, -1], box.dtype),
        "headings turn the other way: clockwise? headings are counter-clockwise from +x",
    ),
    _Change(
        "quarter turn",
        _turn_boxes,
        "boxes are turned by a quarter: headings from +y, or width before length? headings are from +x",
    ),
)


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
    inside: int = 0  # points in boxes
    inside_changed: np.ndarray = field(default_factory=lambda: np.zeros(len(CHANGES), np.int64))  # in changed ones

    def add(self, objects: GroundTruth, counted: np.ndarray, changed: np.ndarray) -> None:
        """Take in the labels of one frame that has points.

        Args:
            objects: N labels.
            counted: (N,) points in each box.
            changed: (C, N) points in each box after each of `CHANGES`.
        """
        near, seen = np.hypot(objects.box[:, 0], objects.box[:, 1]) < _NEAR_M, objects.num_points >= _SEEN
        self.objects += len(objects)
        self.counted_some += int((counted > 0).sum())
        self.without_count += int(((counted > 0) & (objects.num_points <= 0)).sum())
        self.seen += int(seen.sum())
        self.lost += int((seen & (counted == 0)).sum())
        self.near += int(near.sum())
        self.near_empty += int((near & (counted == 0)).sum())
        self.inside += int(counted.sum())
        self.inside_changed += changed.sum(axis=1)

    def merge(self, other: CountComparison) -> None:
        """Add what another one counted."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    def find_faults(self) -> Iterator[Finding]:
        """Yield what the shares tell."""
        if self.seen >= _ENOUGH and self.lost > 0.5 * self.seen:
            text = f"{self.lost} of {self.seen} boxes labelled with {_SEEN} points or more hold none: {_FRAMES}"
            yield Finding("points-in-boxes", text, self.seen >= _SURE and self.lost > 0.95 * self.seen)
        elif self.near >= _ENOUGH and self.near_empty > 0.8 * self.near:
            text = f"{self.near_empty} of {self.near} boxes within {_NEAR_M:.0f} m hold no point: {_FRAMES}"
            yield Finding("points-in-boxes", text, self.near >= _SURE and self.near_empty > 0.98 * self.near)
        elif self.counted_some >= _ENOUGH and self.inside_changed.max() > 1.2 * self.inside:
            change = CHANGES[int(self.inside_changed.argmax())]
            text = f"boxes hold {self.inside} points, and {self.inside_changed.max()} where {change.text}"
            yield Finding(change.kind, text, False)
        if self.counted_some >= _ENOUGH and self.without_count > 0.9 * self.counted_some:
            text = (
                f"{self.without_count} of {self.counted_some} boxes with points are labelled with 0: counts "
                "are missing, and training leaves such boxes out (data.min_points: 0 takes them)"
            )
            yield Finding("no counts", text, False)


def find_misplaced_frame(objects: GroundTruth, counted: np.ndarray, every: int) -> Finding | None:
    """Say so where no box of one frame holds a point that should.

    Args:
        objects: N labels.
        counted: (N,) points in each box, of a part of all points.
        every: how many points there are to one of that part.
    """
    seen = objects.num_points >= _SEEN * every
    if seen.sum() < _FEW or counted[seen].any():
        return None
    text = f"none of its {seen.sum()} boxes labelled with {_SEEN * every} points or more holds one: {_FRAMES}"
    return Finding("empty boxes", text, False)
