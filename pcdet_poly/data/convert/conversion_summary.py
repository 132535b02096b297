"""The result of a conversion, printed and as JSON."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pcdet_poly.data.convert.build_store import ConversionSummary
from pcdet_poly.data.store.manifest import SegmentEntry
from pcdet_poly.files import write_json
from pcdet_poly.names.shown_names import print_line
from pcdet_poly.paths import AnyPath


@dataclass(frozen=True)
class ConversionNumbers:
    """A conversion in numbers; the fields are the keys of the JSON that `--json` writes."""

    segments: int  # converted now
    kept: int  # converted earlier
    frames: int
    seconds: float
    frames_per_s: float
    mb_read: float
    mb_written: float
    cpu_s: dict[str, float]  # by stage, over all workers
    left_out: list[str]  # reasons, one per record
    warnings: list[str]  # what may be meant, one per kind
    failed: dict[str, str]  # source -> reason


def print_conversion(summary: ConversionSummary, folder: str | AnyPath) -> None:
    """Print what was converted, how fast, what could not be read, and what the store in `folder` now holds."""
    numbers = compute_numbers(summary)
    print_line(
        f"{numbers.segments} segments converted, {numbers.kept} were there already, {len(numbers.failed)} failed"
    )
    if numbers.frames:
        print_line(
            f"{numbers.frames} frames in {numbers.seconds:.1f} s ({numbers.frames_per_s:.1f} frames/s), "
            f"{numbers.mb_read:.1f} MB read ({numbers.mb_read / numbers.seconds:.1f} MB/s), "
            f"{numbers.mb_written:.1f} MB written"
        )
        print_line(f"CPU time {_describe_cpu_time(numbers.cpu_s, numbers.frames)}")
    for line in numbers.warnings:
        print_line(f"warning: {line}", file=sys.stderr)
    if numbers.left_out:
        print_line(f"{len(numbers.left_out)} frames or records left out:")
    for reason in numbers.left_out:
        print_line(f"left out: {reason}")
    for reason in numbers.failed.values():
        print_line(f"failed: {reason}")
    print_line(f"{folder}: {describe_contents(summary.manifest.segments)}")


def compute_numbers(summary: ConversionSummary) -> ConversionNumbers:
    """Add up a conversion's segments, frames, megabytes and seconds."""
    entries = summary.converted
    frames = sum(entry.num_frames for entry in entries)
    return ConversionNumbers(
        segments=len(entries),
        kept=summary.num_kept,
        frames=frames,
        seconds=summary.seconds,
        frames_per_s=frames / summary.seconds,
        mb_read=sum(entry.source_bytes for entry in entries) / 1e6,
        mb_written=sum(entry.file_bytes for entry in entries) / 1e6,
        cpu_s=dict(summary.cpu_s),
        left_out=[reason for entry in entries for reason in entry.skipped],
        failed=dict(summary.failed),
        warnings=list(summary.warnings),
    )


def write_conversion(summary: ConversionSummary, path: str | Path) -> None:
    """Write the numbers of a conversion as JSON."""
    write_json(path, asdict(compute_numbers(summary)))


def _describe_cpu_time(cpu_s: Mapping[str, float], frames: int) -> str:
    """Say how much there was in all and per frame, and the share of each stage."""
    total = sum(cpu_s.values())
    shares = sorted(cpu_s.items(), key=lambda item: -item[1])
    words = ", ".join(f"{name} {100 * seconds / total:.0f} %" for name, seconds in shares)
    return f"{total:.1f} s, {1e3 * total / frames:.1f} ms a frame: {words}"


def describe_contents(entries: Sequence[SegmentEntry]) -> str:
    """Say how many segments, frames, points and objects there are."""
    objects: Counter[str] = Counter()
    for entry in entries:
        objects.update(entry.num_objects)
    frames = sum(entry.num_frames for entry in entries)
    points = sum(entry.num_points for entry in entries)
    counts = ", ".join(f"{count} {name}" for name, count in objects.items())
    return f"{len(entries)} segments, {frames} frames, {points} points, objects: {counts or 'none'}"
