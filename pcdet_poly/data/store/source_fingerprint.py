"""The file or folder that a segment is converted from, with a fingerprint that tells whether it has changed."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pcdet_poly.paths import AnyPath, get_num_bytes, read_range

_SAMPLE_BYTES = 1 << 16
THREADS = 16  # requests under way at a time: a cloud answers each in some 50 ms


@dataclass(frozen=True)
class Source:
    """One input of a conversion."""

    path: AnyPath
    num_bytes: int
    fingerprint: int  # CRC-32 of the size and of three samples of every file
    origin: AnyPath | None = None  # what holds the source, where it is no file or folder itself

    @property
    def name(self) -> str:
        """The last part of the path, by which a store knows the source wherever it lies."""
        return self.path.name

    @property
    def place(self) -> str:
        """The whole path or URL, which tells two sources of one name apart."""
        path = self.origin or self.path
        return str(path.absolute()) if isinstance(path, Path) else str(path)


def describe_source(path: AnyPath, files: Iterable[AnyPath] | None = None, *, origin: AnyPath | None = None) -> Source:
    """Describe a source.

    Args:
        path: file or folder; its last part names the source.
        files: those that belong to it, where it is a folder.
        origin: what holds the source, where `path` is no file or folder itself.
    """
    files = [path] if files is None else list(files)
    sizes = [get_num_bytes(file) for file in files]
    checksum = 0
    for file, size in zip(files, sizes, strict=True):
        checksum = zlib.crc32(f"{file.name} {size}".encode("utf-8", "surrogatepass"), checksum)
        checksum = zlib.crc32(_read_samples(file, size), checksum)
    return Source(path, sum(sizes), checksum, origin)


def natural_sort_key(path: AnyPath) -> tuple[tuple[int, int, str], ...]:
    """Key for `sorted` that puts frame_2 before frame_10."""
    parts = re.split(r"(\d+)", str(path))
    return tuple((1, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts)


def _read_samples(file: AnyPath, size: int) -> bytes:
    """Read the beginning, the middle and the end: telling two files apart must not cost reading them."""
    starts = (max(start, 0) for start in (0, size // 2, size - _SAMPLE_BYTES))
    return b"".join(read_range(file, start, start + _SAMPLE_BYTES) for start in starts)
