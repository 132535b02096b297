"""Lets the frames of a segment pass that a store may hold; what may be meant is counted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from pcdet_poly.checks.counts import CountComparison
from pcdet_poly.checks.findings import Finding, Tally, list_errors
from pcdet_poly.checks.frame import find_frame_faults
from pcdet_poly.checks.sequence import SequenceCheck
from pcdet_poly.errors import UserError
from pcdet_poly.ops.arrays.points_in_boxes import count_points
from pcdet_poly.stage_timer import time_stage
from pcdet_poly.structures import Frame

COUNT_EVERY = 10  # points are counted in the boxes of every so manieth frame: counting takes longer than all else


def check_frames(
    frames: Iterable[Frame], report_error: Callable[[UserError], None], tally: Tally, *, where: str = ""
) -> Iterator[Frame]:
    """Yield the frames of one segment with which no number would be wrong.

    Args:
        frames: of the segment, in their order.
        report_error: called with a `UserError` for each other frame; where it returns, the frame is left out.
        tally: counts what may be meant, until the last frame has passed.
        where: what stands in front of the frame's number in messages, such as the source's path.
    """
    sequence, counts = SequenceCheck(), CountComparison()
    place = where
    for number, frame in enumerate(frames):
        place = f"{where}frame {number} ({frame.frame_id})"
        with time_stage("check"):
            found = find_all_faults(frame, sequence)
            if not list_errors(found) and number % COUNT_EVERY == 0:
                compare_counts(frame, counts)
        if errors := list_errors(found):
            report_error(UserError(f"{place}: {'; '.join(errors)}"))
            continue
        for finding in found:
            tally.add(finding, place)
        yield frame
    for finding in counts.find_faults():
        tally.add(finding, f"{place.partition(' (')[0]} and others")


def find_all_faults(frame: Frame, sequence: SequenceCheck) -> list[Finding]:
    """Find what is wrong with a frame by itself, and if nothing is, what is wrong with its place in its segment."""
    found = list(find_frame_faults(frame))
    return found if list_errors(found) else [*found, *sequence.find_faults(frame)]


def compare_counts(frame: Frame, counts: CountComparison) -> None:
    """Count the points in a frame's boxes and take them into `counts`; a frame without points says nothing."""
    if len(frame.points) and len(frame.ground_truth):
        counts.add(frame.ground_truth, count_points(frame.points, frame.ground_truth.box))
