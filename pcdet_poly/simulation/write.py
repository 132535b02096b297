"""Simulated segments as Waymo files of either version: whole, resumable, the same bytes whoever writes them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pcdet_poly.errors import UserError
from pcdet_poly.simulation.segment import LARGEST_SEED, list_timestamps_us, simulate_segment
from pcdet_poly.waymo.decode import decode_scan
from pcdet_poly.waymo.encode import encode_scan
from pcdet_poly.waymo.scan import Scan
from pcdet_poly.waymo.tfrecord import read_records, write_records
from pcdet_poly.waymo.v2.component_file import component_path
from pcdet_poly.waymo.v2.read import read_scans_v2
from pcdet_poly.waymo.v2.write import write_segment_v2
from pcdet_poly.workers import Advance, run_jobs

Format = Literal["v1", "v2"]


@dataclass(frozen=True)
class SegmentJob:
    """One segment to write."""

    path: Path  # v1: the TFRecord file; v2: the component file that is written last
    format: Format
    seed: int
    name: str
    num_frames: int
    interval_s: float


@dataclass(frozen=True)
class SegmentOutcome:
    """What became of one segment."""

    num_frames: int
    num_objects: int
    was_there: bool


def list_jobs(
    folder: str | Path,
    *,
    num_segments: int,
    num_frames: int,
    interval_s: float,
    seed: int,
    prefix: str,
    format: Format = "v1",
) -> list[SegmentJob]:
    """List the segments to write, one job per seed.

    Args:
        folder: Where the records go.
        num_segments: Number of segments, at least 1.
        num_frames: Scans per segment, at least 1.
        interval_s: Seconds between two scans, above 0.
        seed: The first segment's seed; the others follow.
        prefix: Start of the names of v1 files.
        format: "v1" for TFRecords, "v2" for Parquet components.

    Returns:
        Jobs in ascending order of seed.

    Raises:
        UserError: If a number cannot be used, or `folder` is a file.
    """
    _check(num_segments >= 1, "--segments", num_segments, "give at least 1")
    _check(num_frames >= 1, "--frames", num_frames, "give at least 1")
    _check(interval_s > 0, "--interval-s", interval_s, "give a positive number of seconds")
    _check(0 <= seed <= LARGEST_SEED, "--seed", seed, f"give 0 to {LARGEST_SEED}")
    _check(prefix != "" and "/" not in prefix, "--prefix", prefix, "give the start of a file name")
    if Path(folder).is_file():
        raise UserError(f"{folder}: a file; name a folder for the records")
    jobs = []
    for number in range(seed, seed + num_segments):
        name = f"sim{number}"
        path = (
            Path(folder) / f"{prefix}{number}.tfrecord"
            if format == "v1"
            else Path(str(component_path(folder, "vehicle_pose", name)))
        )
        jobs.append(SegmentJob(path, format, number, name, num_frames, interval_s))
    return jobs


def write_segments(jobs: list[SegmentJob], *, workers: int) -> Iterator[tuple[SegmentJob, SegmentOutcome]]:
    """Write what is missing, with a progress bar; yields each segment as soon as it is whole."""
    _check(workers >= 1, "--workers", workers, "give at least 1")
    total = sum(job.num_frames for job in jobs)
    return run_jobs(write_segment, jobs, workers=workers, title="simulating", total=total)


def write_segment(job: SegmentJob, advance: Advance) -> SegmentOutcome:
    """Write one segment, unless it is there whole already."""
    num_objects = _count_objects_if_whole(job)
    if num_objects is not None:
        advance(job.num_frames)
        return SegmentOutcome(job.num_frames, num_objects, was_there=True)
    num_objects = 0

    def scans() -> Iterator[Scan]:
        nonlocal num_objects
        for scan in simulate_segment(job.seed, name=job.name, num_frames=job.num_frames, interval_s=job.interval_s):
            yield scan
            num_objects += len(scan.ground_truth)
            advance(1)

    return SegmentOutcome(_write(job, scans()), num_objects, was_there=False)


def _write(job: SegmentJob, scans: Iterator[Scan]) -> int:
    if job.format == "v2":
        return write_segment_v2(job.path.parents[1], job.name, scans)
    return write_records(job.path, map(encode_scan, scans))


def _read(job: SegmentJob) -> Iterator[Scan]:
    if job.format == "v2":
        return read_scans_v2(job.path.parents[1], job.name)
    return map(decode_scan, read_records(job.path))


def _count_objects_if_whole(job: SegmentJob) -> int | None:
    """Labels in the job's segment; None where it is missing or damaged and must be written."""
    if not job.path.exists():
        return None
    try:
        objects = {scan.timestamp_us: len(scan.ground_truth) for scan in _read(job)}
    except UserError:
        return None
    found = list(objects)
    if found != list_timestamps_us(job.seed, job.num_frames, job.interval_s):
        raise UserError(
            f"{job.path}: holds {len(found)} frames simulated with other settings; delete it or write elsewhere"
        )
    return sum(objects.values())


def _check(fine: bool, option: str, value: object, advice: str) -> None:
    if not fine:
        raise UserError(f"{option} {value}: {advice}")
