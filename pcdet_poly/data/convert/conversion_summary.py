"""What a conversion or a check did, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from pcdet_poly.data.convert.build_store import ConversionSummary
from pcdet_poly.data.convert.check_store import SegmentCheck
from pcdet_poly.data.store.manifest import SegmentEntry
from pcdet_poly.files import write_json


def print_conversion(summary: ConversionSummary, folder: str) -> None:
    """The end of a conversion: what came in, how fast, what did not, and what the store now holds."""
    done = numbers_of(summary)
    print(f"{done['segments']} segments converted, {done['kept']} were there already, {len(done['failed'])} failed")
    if done["frames"]:
        print(
            f"{done['frames']} frames in {done['seconds']:.1f} s ({done['frames_per_s']:.1f} frames/s), "
            f"{done['mb_read']:.1f} MB read ({done['mb_read'] / done['seconds']:.1f} MB/s), "
            f"{done['mb_written']:.1f} MB written"
        )
        print(f"CPU time {_describe_cpu_time(done['cpu_s'], done['frames'])}")
    for entry in summary.converted:
        for reason in entry.skipped:
            print(f"left out: {reason}")
    for reason in summary.failed.values():
        print(f"failed: {reason}")
    print(f"{folder}: {_describe_contents(summary.manifest.segments)}")


def numbers_of(summary: ConversionSummary) -> dict[str, Any]:
    """A conversion in numbers: segments, frames, seconds, MB, CPU seconds by stage, what was left out."""
    entries = summary.converted
    frames = sum(entry.num_frames for entry in entries)
    return {
        "segments": len(entries),
        "kept": summary.num_kept,
        "frames": frames,
        "seconds": summary.seconds,
        "frames_per_s": frames / summary.seconds,
        "mb_read": sum(entry.source_bytes for entry in entries) / 1e6,
        "mb_written": sum(entry.file_bytes for entry in entries) / 1e6,
        "cpu_s": dict(summary.cpu_s),
        "left_out": [reason for entry in entries for reason in entry.skipped],
        "failed": dict(summary.failed),
    }


def write_conversion(summary: ConversionSummary, path: str | Path) -> None:
    """`numbers_of` as JSON."""
    write_json(path, numbers_of(summary))


def _describe_cpu_time(cpu_s: Mapping[str, float], frames: int) -> str:
    """In words: in all, per frame, and the stages by their share."""
    total = sum(cpu_s.values())
    shares = sorted(cpu_s.items(), key=lambda item: -item[1])
    words = ", ".join(f"{name} {100 * seconds / total:.0f} %" for name, seconds in shares)
    return f"{total:.1f} s, {1e3 * total / frames:.1f} ms a frame: {words}"


def print_check(checks: Sequence[SegmentCheck], console: Console) -> None:
    """One row per segment, then every problem in full."""
    table = Table("segment", "frames", "points", "objects", "MB", "state")
    for check in checks:
        entry = check.entry
        state = f"{len(check.faults)} problems" if check.faults else "sound"
        counts = (entry.num_frames, entry.num_points, sum(entry.num_objects.values()))
        table.add_row(entry.segment, *map(str, counts), f"{entry.file_bytes / 1e6:.1f}", state)
    console.print(table)
    for check in checks:
        for fault in check.faults:
            print(fault)
    print(_describe_contents([check.entry for check in checks]))


def _describe_contents(entries: Sequence[SegmentEntry]) -> str:
    objects: Counter[str] = Counter()
    for entry in entries:
        objects.update(entry.num_objects)
    frames = sum(entry.num_frames for entry in entries)
    points = sum(entry.num_points for entry in entries)
    counts = ", ".join(f"{count} {name}" for name, count in objects.items())
    return f"{len(entries)} segments, {frames} frames, {points} points, objects: {counts or 'none'}"
