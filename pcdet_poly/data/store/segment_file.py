"""The frames of one segment in one ZIP archive with random access, which any ZIP tool opens.

Frame i is two uncompressed entries, one after the other: `00000i.json` (frame_json.py) and
`00000i.arrow` (arrow_points.py). ZIP keeps a CRC-32 of each. The archive's directory, which holds those
checksums and all positions, has a CRC-32 of its own in the store's manifest.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pcdet_poly.data.store.arrow_points import Precision, decode_points, encode_points
from pcdet_poly.data.store.frame_json import encode_description, parse_description
from pcdet_poly.errors import UserError
from pcdet_poly.files import atomic_path
from pcdet_poly.names.file_names import encode_file_name
from pcdet_poly.paths import AnyPath, get_num_bytes, parse_path, read_range
from pcdet_poly.stage_timer import time_stage
from pcdet_poly.structures import Frame

try:
    from deflate import crc32
except ImportError:  # no wheel for this machine: thirteen times slower, .2 ms a frame
    from zlib import crc32  # type: ignore[assignment]

_AGAIN = "delete it and run the conversion again"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date that ZIP knows: a file then depends on its frames only
_LOCAL_HEADER_BYTES = 30  # before an entry's name and data


def segment_file_name(segment: str) -> str:
    """Name of a segment's file, safe and unique whatever characters the segment's name has."""
    return encode_file_name(segment) + ".zip"


class SegmentWriter:
    """Appends frames to the archive at `path`; `open_writer` makes one."""

    def __init__(self, path: Path, precision: Precision) -> None:
        self._zip = zipfile.ZipFile(path, "w", zipfile.ZIP_STORED)
        self._precision: Precision = precision
        self.num_frames = 0

    def write_frame(self, frame: Frame) -> None:
        """Append `frame`; raise `UserError`, with its id, if it cannot be stored."""
        with time_stage("encode"):
            try:
                points = encode_points(frame.points, frame.columns, self._precision)
            except UserError as error:
                raise UserError(f"frame {frame.frame_id}: {error}") from error
            description = encode_description(frame)
        with time_stage("write"):
            self._write(f"{self.num_frames:06d}.json", description)
            self._write(f"{self.num_frames:06d}.arrow", points)
        self.num_frames += 1

    def close(self) -> None:
        """Write the archive's directory, which ends the file."""
        self._zip.close()

    def _write(self, name: str, data: bytes) -> None:
        self._zip.writestr(zipfile.ZipInfo(name, _EPOCH), data)


@contextmanager
def open_writer(path: str | AnyPath, precision: Precision) -> Iterator[SegmentWriter]:
    """Open a writer for the file at `path`, which appears whole when the block ends, or not at all."""
    with atomic_path(path) as temporary:
        writer = SegmentWriter(temporary, precision)
        try:
            yield writer
        finally:
            with time_stage("write"):
                writer.close()


@dataclass(frozen=True)
class ArchiveDirectory:
    """The positions, sizes and checksums of the E entries of one segment's file, two entries per frame."""

    path: AnyPath
    start: np.ndarray  # (E,) int64, first byte of an entry's data
    num_bytes: np.ndarray  # (E,) int64
    checksum: np.ndarray  # (E,) int64, CRC-32 of the data
    file_bytes: int
    crc32: int  # of the archive's own directory

    def __len__(self) -> int:
        return len(self.start) // 2


def read_archive_directory(path: str | AnyPath) -> ArchiveDirectory:
    """Read the directory of a segment's file, which is all that reading its frames needs.

    Raises:
        UserError: if the file is missing, cut off, damaged or of another kind.
    """
    path = parse_path(path)
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            names = [f"{i // 2:06d}.{('json', 'arrow')[i % 2]}" for i in range(len(entries))]
            if [entry.filename for entry in entries] != names or any(entry.compress_type for entry in entries):
                raise UserError(f"{path}: not a segment of frames, or damaged; {_AGAIN}")
            start = [entry.header_offset + _LOCAL_HEADER_BYTES + len(entry.filename) for entry in entries]
            file.seek(archive.start_dir)
            directory = file.read()
    except FileNotFoundError as error:
        raise UserError(f"{path}: listed in the manifest, but missing; {_AGAIN}") from error
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path}: cut off or damaged ({error}); {_AGAIN}") from error
    return ArchiveDirectory(
        path=path,
        start=np.array(start, np.int64),
        num_bytes=np.array([entry.file_size for entry in entries], np.int64),
        checksum=np.array([entry.CRC for entry in entries], np.int64),
        file_bytes=get_num_bytes(path),
        crc32=crc32(directory),
    )


def read_frame(directory: ArchiveDirectory, index: int) -> Frame:
    """Read frame `index` (from 0) and no other; raise `UserError` if its checksums are wrong."""
    text, points = _read_entries(directory, index, 2)
    description = parse_description(text)
    return description.to_frame(decode_points(points, description.columns))


def read_labels(directory: ArchiveDirectory, index: int) -> Frame:
    """Read frame `index` without its points: the frame has P = 0."""
    (text,) = _read_entries(directory, index, 1)
    description = parse_description(text)
    return description.to_frame(np.zeros((0, len(description.columns)), np.float32))


def _read_entries(directory: ArchiveDirectory, index: int, count: int) -> list[memoryview]:
    """Read the first `count` entries of frame `index` at once: they lie one after the other."""
    entries = slice(2 * index, 2 * index + count)
    start, size = directory.start[entries], directory.num_bytes[entries]
    data = memoryview(read_range(directory.path, int(start[0]), int(start[-1] + size[-1])))
    parts = [data[begin : begin + length] for begin, length in zip((start - start[0]).tolist(), size, strict=True)]
    for part, length, checksum in zip(parts, size, directory.checksum[entries], strict=True):
        if len(part) != length or crc32(part) != checksum:
            raise UserError(f"{directory.path}: frame {index}: wrong checksum, the file is damaged; {_AGAIN}")
    return parts
