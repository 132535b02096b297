"""Lets the frames of a segment pass that a store may hold; what may be meant is counted."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from pcdet_poly.checks.class_sizes import ClassSizes
from pcdet_poly.checks.counts import CHANGES, CountComparison, find_misplaced_frame
from pcdet_poly.checks.findings import Finding, Tally, list_errors
from pcdet_poly.checks.frame import find_frame_faults
from pcdet_poly.checks.points import find_copied_points
from pcdet_poly.checks.sequence import SequenceCheck
from pcdet_poly.checks.vehicle_way import VehicleWay
from pcdet_poly.errors import UserError
from pcdet_poly.ops.arrays.points_in_boxes import count_points
from pcdet_poly.stage_timer import time_stage
from pcdet_poly.structures import Frame

COUNT_EVERY = 10  # frames to one in whose boxes all points are counted: that takes longer than all else
_COUNT_FIRST = 3  # and of the first ones, for the sake of short segments
_SAMPLE_EVERY = 8  # points to one that is counted in the boxes of the others


class SegmentError(UserError):
    """What is wrong with a segment as a whole, so that none of its frames may be kept."""


@dataclass
class SegmentTotals:
    """What only the frames of a segment together tell."""

    counts: CountComparison = field(default_factory=CountComparison)
    sizes: ClassSizes = field(default_factory=ClassSizes)
    way: VehicleWay = field(default_factory=VehicleWay)

    def add(self, frame: Frame) -> np.ndarray:
        """Take in one frame; return the points counted in each of its boxes, (N,)."""
        self.add_without_points(frame)
        return compare_counts(frame, self.counts)

    def add_without_points(self, frame: Frame) -> None:
        """Take in what takes no time."""
        self.sizes.add(frame)
        self.way.add(frame)

    def merge(self, other: SegmentTotals) -> None:
        """Add what another one took in."""
        self.counts.merge(other.counts)
        self.sizes.merge(other.sizes)
        self.way.merge(other.way)

    def find_faults(self) -> Iterator[Finding]:
        """Yield what is wrong with the segment, or may be."""
        yield from self.counts.find_faults()
        yield from self.sizes.find_faults()
        yield from self.way.find_faults()


def check_frames(
    frames: Iterable[Frame],
    report_error: Callable[[UserError], None],
    tally: Tally,
    *,
    where: str = "",
    allowed: Collection[str] = (),
) -> Iterator[Frame]:
    """Yield the frames of one segment with which no number would be wrong.

    Args:
        frames: of the segment, in their order.
        report_error: called with a `UserError` for each other frame; where it returns, the frame is left out.
        tally: counts what may be meant, until the last frame has passed.
        where: what stands in front of the frame's number in messages, such as the source's path.
        allowed: kinds of errors, of `ALLOWABLE` in checks/findings.py, that are meant.

    Raises:
        SegmentError: after the last frame, where all of them together cannot be meant.
    """
    sequence, totals = SequenceCheck(), SegmentTotals()
    place = where
    for number, frame in enumerate(frames):
        place = f"{where}frame {number} ({frame.frame_id})"
        with time_stage("check"):
            found = [finding.soften(allowed) for finding in find_all_faults(frame, sequence)]
            if not (errors := list_errors(found)):
                found += _look_at_first(frame, number)
                found += _look_into_boxes(frame, totals, all_points=number < _COUNT_FIRST or number % COUNT_EVERY == 0)
        if errors:
            report_error(UserError(f"{place}: {'; '.join(errors)}"))
            continue
        for finding in found:
            tally.add(finding, place)
        yield frame
    place = f"{place.partition(' (')[0]} and others"
    found = [finding.soften(allowed) for finding in totals.find_faults()]
    if errors := list_errors(found):
        raise SegmentError(f"{place}: {'; '.join(errors)}")
    for finding in found:
        tally.add(finding, place)


def find_all_faults(frame: Frame, sequence: SequenceCheck) -> list[Finding]:
    """Find what is wrong with a frame by itself, and if nothing is, what is wrong with its place in its segment."""
    found = list(find_frame_faults(frame))
    return found if list_errors(found) else [*found, *sequence.find_faults(frame)]


def compare_counts(frame: Frame, counts: CountComparison) -> np.ndarray:
    """Count the points in a frame's boxes, (N,), and take them into `counts`; a frame without points says nothing."""
    objects = frame.ground_truth
    if not len(frame.points) or not len(objects):
        return np.zeros(len(objects), np.int64)
    boxes = [objects.box, *(change.make(objects.box) for change in CHANGES)]
    inside = count_points(frame.points, np.concatenate(boxes)).reshape(len(boxes), -1)
    counts.add(objects, inside[0], inside[1:])
    return inside[0]


def _look_at_first(frame: Frame, number: int) -> list[Finding]:
    """Look for what takes long, and is so in all frames or in none."""
    finding = find_copied_points(frame.points) if number == 0 else None
    return [finding] if finding else []


def _look_into_boxes(frame: Frame, totals: SegmentTotals, *, all_points: bool) -> list[Finding]:
    """Take a frame into the totals, and say whether its boxes hold any of its points, all of them or a part."""
    if all_points:
        counted = totals.add(frame)
    else:
        totals.add_without_points(frame)
        counted = _count_some(frame)
    finding = find_misplaced_frame(frame.ground_truth, counted, _SAMPLE_EVERY)
    return [finding] if finding and len(frame.points) else []


def _count_some(frame: Frame) -> np.ndarray:
    """Count a part of the points in each box, (N,)."""
    if not len(frame.ground_truth):
        return np.zeros(0, np.int64)
    return count_points(np.ascontiguousarray(frame.points[::_SAMPLE_EVERY]), frame.ground_truth.box)
