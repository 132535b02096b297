"""Checks that a store holds what its manifest says, undamaged and with values that can be meant."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from functools import partial

from pcdet_poly.checks.findings import Tally, list_errors
from pcdet_poly.checks.sequence import SequenceCheck
from pcdet_poly.data.check.histograms import Histograms
from pcdet_poly.data.store.checked_frames import SegmentTotals, find_all_faults
from pcdet_poly.data.store.frame_store import read_checked_directory
from pcdet_poly.data.store.manifest import SegmentEntry, read_manifest
from pcdet_poly.data.store.segment_file import read_frame
from pcdet_poly.errors import UserError
from pcdet_poly.paths import AnyPath, parse_path
from pcdet_poly.workers import Advance, run_jobs


@dataclass
class Contents:
    """What the frames of a store or a segment hold."""

    tally: Tally = field(default_factory=Tally)  # what may be meant
    totals: SegmentTotals = field(default_factory=SegmentTotals)
    histograms: Histograms = field(default_factory=Histograms)

    def merge(self, other: Contents) -> None:
        """Add what another one holds."""
        self.tally.merge(other.tally)
        self.totals.merge(other.totals)
        self.histograms.merge(other.histograms)


@dataclass(frozen=True)
class SegmentCheck:
    """The result of checking one segment."""

    entry: SegmentEntry
    faults: tuple[str, ...]  # each names the file and, if it concerns a single one, the frame
    contents: Contents = field(default_factory=Contents)


def check_store(folder: str | AnyPath, *, workers: int = 1) -> list[SegmentCheck]:
    """Read and check every frame of the store in `folder`."""
    folder = parse_path(folder)
    manifest = read_manifest(folder)
    entries, allowed = manifest.segments, tuple(manifest.settings.get("allowed", "").split())
    total = sum(entry.num_frames for entry in entries)
    check = partial(_check_segment, folder=folder, allowed=allowed)
    checks = [checked for _, checked in run_jobs(check, entries, workers=workers, title="checking", total=total)]
    return sorted(checks, key=lambda checked: checked.entry.segment)


def join_contents(checks: list[SegmentCheck]) -> Contents:
    """Add up what all segments hold, and judge what only shares over all of them tell."""
    joined = Contents()
    for checked in checks:
        joined.merge(checked.contents)
    for finding in joined.totals.find_faults():
        joined.tally.add(finding, "all segments")
    return joined


def _check_segment(entry: SegmentEntry, advance: Advance, *, folder: AnyPath, allowed: Collection[str]) -> SegmentCheck:
    contents = Contents()
    faults = tuple(_find_segment_faults(entry, advance, folder, contents, allowed))
    return SegmentCheck(entry, faults, contents)


def _find_segment_faults(
    entry: SegmentEntry, advance: Advance, folder: AnyPath, contents: Contents, allowed: Collection[str]
) -> Iterator[str]:
    """Yield what is wrong with a segment; what its frames hold goes into `contents`."""
    try:
        directory = read_checked_directory(folder, entry)
    except UserError as error:
        yield str(error)
        return
    num_points = num_objects = 0
    sequence = SequenceCheck()
    for i in range(entry.num_frames):
        advance(1)
        try:
            frame = read_frame(directory, i)
        except UserError as error:
            yield str(error)
            continue
        num_points += len(frame.points)
        num_objects += len(frame.ground_truth)
        place = f"{directory.path}: frame {i} ({frame.frame_id})"
        for finding in (one.soften(allowed) for one in find_all_faults(frame, sequence)):
            if finding.is_error:
                yield f"{place}: {finding.text}"
            else:
                contents.tally.add(finding, place)
        contents.totals.add(frame)
        contents.histograms.add(frame)
        if frame.frame_id != f"{entry.segment}/{entry.timestamps_us[i]}":
            yield f"{directory.path}: frame {i} is {frame.frame_id}, the manifest says {entry.timestamps_us[i]}"
    if (num_points, num_objects) != (entry.num_points, sum(entry.num_objects.values())):
        yield (
            f"{directory.path}: {num_points} points and {num_objects} objects could be read, "
            f"{entry.num_points} and {sum(entry.num_objects.values())} are in the manifest"
        )
    for text in list_errors(one.soften(allowed) for one in contents.totals.find_faults()):
        yield f"{directory.path}: {text}"
