"""Checks that a store holds what its manifest says, undamaged and with plausible values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from pcdet_poly.data.store.frame_store import read_checked_directory
from pcdet_poly.data.store.manifest import SegmentEntry, read_manifest
from pcdet_poly.data.store.segment_file import read_frame
from pcdet_poly.errors import UserError
from pcdet_poly.paths import AnyPath, parse_path
from pcdet_poly.structures import Frame
from pcdet_poly.workers import Advance, run_jobs

MAX_SIZE_M = 100.0  # no road vehicle is longer


@dataclass(frozen=True)
class SegmentCheck:
    """The result of checking one segment."""

    entry: SegmentEntry
    faults: tuple[str, ...]  # each names the file and, if it concerns a single one, the frame


def check_store(folder: str | AnyPath, *, workers: int = 1) -> list[SegmentCheck]:
    """Read and check every frame of the store in `folder`."""
    folder = parse_path(folder)
    entries = read_manifest(folder).segments
    total = sum(entry.num_frames for entry in entries)
    check = partial(_check_segment, folder=folder)
    checks = [checked for _, checked in run_jobs(check, entries, workers=workers, title="checking", total=total)]
    return sorted(checks, key=lambda checked: checked.entry.segment)


def _check_segment(entry: SegmentEntry, advance: Advance, *, folder: AnyPath) -> SegmentCheck:
    return SegmentCheck(entry, tuple(_find_segment_faults(entry, advance, folder)))


def _find_segment_faults(entry: SegmentEntry, advance: Advance, folder: AnyPath) -> Iterator[str]:
    try:
        directory = read_checked_directory(folder, entry)
    except UserError as error:
        yield str(error)
        return
    num_points = num_objects = 0
    for i in range(entry.num_frames):
        advance(1)
        try:
            frame = read_frame(directory, i)
        except UserError as error:
            yield str(error)
            continue
        num_points += len(frame.points)
        num_objects += len(frame.ground_truth)
        for fault in find_frame_faults(frame):
            yield f"{directory.path}: frame {i} ({frame.frame_id}): {fault}"
        if frame.frame_id != f"{entry.segment}/{entry.timestamps_us[i]}":
            yield f"{directory.path}: frame {i} is {frame.frame_id}, the manifest says {entry.timestamps_us[i]}"
    if (num_points, num_objects) != (entry.num_points, sum(entry.num_objects.values())):
        yield (
            f"{directory.path}: {num_points} points and {num_objects} objects could be read, "
            f"{entry.num_points} and {sum(entry.num_objects.values())} are in the manifest"
        )


def find_frame_faults(frame: Frame) -> Iterator[str]:
    """Yield a sentence for each kind of value in a frame that cannot be right."""
    objects = frame.ground_truth
    if not np.isfinite(frame.points).all():
        yield f"{int((~np.isfinite(frame.points)).any(axis=1).sum())} points are not finite"
    if not np.isfinite(objects.box).all():
        yield f"{int((~np.isfinite(objects.box)).any(axis=1).sum())} boxes are not finite"
    if ((objects.box[:, 3:6] <= 0) | (objects.box[:, 3:6] > MAX_SIZE_M)).any():
        yield f"a box with a size that is not in (0, {MAX_SIZE_M:.0f}] m"
    if ((objects.label < 0) | (objects.label >= len(frame.class_names))).any():
        yield f"a label outside its {len(frame.class_names)} classes"
    if ((objects.level < 0) | (objects.level > 2)).any() or (objects.num_points < 0).any():
        yield "a difficulty level that is not 0, 1 or 2, or a negative number of points"
    if not np.allclose(frame.world_from_vehicle[3], (0, 0, 0, 1)) or not np.isfinite(frame.world_from_vehicle).all():
        yield "a pose that is no rigid motion"
