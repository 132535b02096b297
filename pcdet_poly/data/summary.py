"""What a conversion or a check did, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from pcdet_poly.data.build import BuildSummary
from pcdet_poly.data.check import SegmentCheck
from pcdet_poly.data.manifest import SegmentEntry


def print_build(summary: BuildSummary, folder: str) -> None:
    """The end of a conversion: what came in, how fast, what did not, and what the store now holds."""
    entries = summary.converted
    frames = sum(entry.num_frames for entry in entries)
    read_mb = sum(entry.source_bytes for entry in entries) / 1e6
    written_mb = sum(entry.file_bytes for entry in entries) / 1e6
    print(f"{len(entries)} segments converted, {summary.num_kept} were there already, {len(summary.failed)} failed")
    if entries:
        print(
            f"{frames} frames in {summary.seconds:.1f} s ({frames / summary.seconds:.1f} frames/s), "
            f"{read_mb:.1f} MB read ({read_mb / summary.seconds:.1f} MB/s), {written_mb:.1f} MB written"
        )
    for entry in entries:
        for reason in entry.skipped:
            print(f"left out: {reason}")
    for reason in summary.failed.values():
        print(f"failed: {reason}")
    print(f"{folder}: {_contents(summary.manifest.segments)}")


def print_check(checks: Sequence[SegmentCheck], console: Console) -> None:
    """One row per segment, then every problem in full."""
    table = Table("segment", "frames", "points", "objects", "MB", "state")
    for check in checks:
        entry = check.entry
        state = f"{len(check.problems)} problems" if check.problems else "sound"
        counts = (entry.num_frames, entry.num_points, sum(entry.num_objects.values()))
        table.add_row(entry.segment, *map(str, counts), f"{entry.file_bytes / 1e6:.1f}", state)
    console.print(table)
    for check in checks:
        for problem in check.problems:
            print(problem)
    print(_contents([check.entry for check in checks]))


def _contents(entries: Sequence[SegmentEntry]) -> str:
    objects: Counter[str] = Counter()
    for entry in entries:
        objects.update(entry.num_objects)
    frames = sum(entry.num_frames for entry in entries)
    points = sum(entry.num_points for entry in entries)
    counts = ", ".join(f"{count} {name}" for name, count in objects.items())
    return f"{len(entries)} segments, {frames} frames, {points} points, objects: {counts or 'none'}"
