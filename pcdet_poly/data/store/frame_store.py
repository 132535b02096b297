"""A folder of frames with random access, in the format that docs/data_format.md describes.

A store is `manifest.json` (manifest.py) and one file per segment (segment_file.py), in which a frame is
an Arrow table of points (arrow_points.py) and a JSON text with the rest (frame_json.py).
"""

from __future__ import annotations

import warnings
from bisect import bisect_right
from collections.abc import Collection, Iterable, Sequence
from itertools import accumulate, chain, groupby
from pathlib import Path

import numpy as np

from pcdet_poly.checks.findings import Tally, check_allowed
from pcdet_poly.data.store.arrow_points import PRECISIONS, Precision
from pcdet_poly.data.store.checked_frames import check_frames
from pcdet_poly.data.store.manifest import Manifest, SegmentEntry, read_manifest, write_manifest
from pcdet_poly.data.store.segment_file import (
    ArchiveDirectory,
    SegmentWriter,
    open_writer,
    read_archive_directory,
    read_frame,
    read_labels,
    segment_file_name,
)
from pcdet_poly.data.store.source_fingerprint import Source
from pcdet_poly.errors import UserError
from pcdet_poly.paths import AnyPath, parse_path
from pcdet_poly.structures import Frame

__all__ = [
    "PRECISIONS",
    "Precision",
    "SegmentWriter",
    "Store",
    "open_writer",
    "read_frame",
    "write_segment",
    "write_store",
]


class Store:
    """The frames of a folder (or of what a URL names), by position: segments sorted by name, frames by time.

    Opening reads the manifest only. A segment's archive directory is read, checked and kept when the
    first of its frames is read. No file is kept open, so a store can be pickled for other processes.
    """

    def __init__(self, folder: str | AnyPath) -> None:
        self.folder = parse_path(folder)
        self.manifest = read_manifest(folder)
        self._ends = list(accumulate(entry.num_frames for entry in self.manifest.segments))
        self._directories: dict[int, ArchiveDirectory] = {}

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, index: int) -> Frame:
        """Read frame `index`; a negative index counts from the end."""
        return read_frame(*self._locate(index))

    def read_labels(self, index: int) -> Frame:
        """Read frame `index` without its points."""
        return read_labels(*self._locate(index))

    def read_frames_before(self, index: int, count: int) -> list[Frame]:
        """Read up to `count` frames that precede frame `index` in its segment, the nearest first."""
        directory, row = self._locate(index)
        return [read_frame(directory, i) for i in range(row - 1, max(row - count, 0) - 1, -1)]

    def _locate(self, index: int) -> tuple[ArchiveDirectory, int]:
        """Find the archive directory of the segment that holds frame `index`, and its position there."""
        position = index + len(self) if index < 0 else index
        if not 0 <= position < len(self):
            raise IndexError(f"{self.folder}: frame {index} of {len(self)}")
        segment = bisect_right(self._ends, position)
        first = self._ends[segment - 1] if segment else 0
        return self._open_segment(segment), position - first

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes; labels are positions in this tuple."""
        return self.manifest.class_names

    @property
    def frame_ids(self) -> tuple[str, ...]:
        """`Frame.frame_id` of every frame, taken from the manifest."""
        return tuple(f"{e.segment}/{timestamp}" for e in self.manifest.segments for timestamp in e.timestamps_us)

    def _open_segment(self, segment: int) -> ArchiveDirectory:
        if segment not in self._directories:
            self._directories[segment] = read_checked_directory(self.folder, self.manifest.segments[segment])
        return self._directories[segment]


def read_checked_directory(folder: AnyPath, entry: SegmentEntry) -> ArchiveDirectory:
    """Read the archive directory of a segment's file; raise `UserError` if it is not the file in the manifest."""
    directory = read_archive_directory(folder / entry.file)
    if (directory.file_bytes, directory.crc32, len(directory)) != (
        entry.file_bytes,
        entry.directory_crc32,
        entry.num_frames,
    ):
        raise UserError(
            f"{directory.path}: not the file the manifest describes (size or checksum differs); "
            "delete it and run the conversion again"
        )
    return directory


def write_segment(
    folder: AnyPath, frames: Iterable[Frame], source: Source, *, precision: Precision, skipped: Sequence[str] = ()
) -> SegmentEntry:
    """Write the file of one segment and describe it for the manifest.

    Args:
        folder: folder of the store.
        frames: the segment's frames in recorded order, at least one.
        source: what the frames are converted from.
        precision: how points are stored, see arrow_points.py.
        skipped: reasons why records were left out; read after the last frame, so that the reader
            behind `frames` may append to it while it reads.

    Returns:
        The segment's entry in the manifest.

    Raises:
        UserError: if there is no frame, or the frames are of several segments or class lists or cannot be stored.
    """
    frames = iter(frames)
    first = next(frames, None)
    if first is None:
        raise UserError(f"{source.path}: no frame in it; a segment needs one")
    path = folder / segment_file_name(first.segment)
    timestamps_us: list[int] = []
    num_points = 0
    num_objects = np.zeros(len(first.class_names), np.int64)
    with open_writer(path, precision) as writer:
        for frame in chain([first], frames):
            if (frame.segment, frame.class_names) != (first.segment, first.class_names):
                raise UserError(
                    f"{source.path}: frame {len(timestamps_us)} is of segment {frame.segment} ({frame.class_names}), "
                    f"the first of {first.segment} ({first.class_names}); one segment per source, please"
                )
            writer.write_frame(frame)
            timestamps_us.append(int(frame.timestamp_us))
            num_points += len(frame.points)
            num_objects += np.bincount(frame.ground_truth.label, minlength=len(num_objects))
    directory = read_archive_directory(path)
    return SegmentEntry(
        segment=first.segment,
        file=path.name,
        file_bytes=directory.file_bytes,
        directory_crc32=directory.crc32,
        source=source.name,
        source_bytes=source.num_bytes,
        source_fingerprint=source.fingerprint,
        num_points=num_points,
        num_objects=dict(zip(first.class_names, num_objects.tolist(), strict=True)),
        timestamps_us=tuple(timestamps_us),
        skipped=tuple(skipped),
    )


def write_store(
    folder: str | AnyPath,
    frames: Iterable[Frame],
    *,
    precision: Precision = "compact",
    allowed: Collection[str] = (),
) -> Store:
    """Write a new store in one go; convert/build_store.py is for data whose conversion may be interrupted.

    What may be meant, such as a gap of an hour between two frames, is one warning with a count.

    Args:
        folder: folder of the store, made if missing; a URL is allowed.
        frames: all frames; those of one segment follow each other.
        precision: how points are stored, see arrow_points.py.
        allowed: kinds of errors, of `ALLOWABLE` in checks/findings.py, that are meant; the store remembers them.

    Returns:
        The store, opened.

    Raises:
        UserError: if a segment comes twice, or a frame cannot be stored or holds what cannot be meant.
    """
    folder = parse_path(folder)
    check_allowed(allowed)
    remembered = {"allowed": " ".join(sorted(allowed))} if allowed else {}
    manifest, tally = Manifest({"precision": precision, **remembered}), Tally()
    for segment, group in groupby(frames, key=lambda frame: frame.segment):
        if any(entry.segment == segment for entry in manifest.segments):
            raise UserError(f"{folder}: segment {segment} was given twice; give all its frames in a row")
        source = Source(Path(segment_file_name(segment)), num_bytes=0, fingerprint=0)
        checked = check_frames(group, _raise_error, tally, allowed=allowed)
        manifest = manifest.with_segment(write_segment(folder, checked, source, precision=precision))
    write_manifest(folder, manifest)
    for line in tally.describe():
        warnings.warn(f"{folder}: {line}", stacklevel=2)
    return Store(folder)


def _raise_error(error: UserError) -> None:
    raise error
