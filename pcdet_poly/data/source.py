"""What a segment is converted from: a file or a folder, and how to tell that it is still the same."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_SAMPLE_BYTES = 1 << 16


@dataclass(frozen=True)
class Source:
    """One input."""

    path: Path
    num_bytes: int
    fingerprint: int  # CRC-32 of the size and of three samples of every file

    @property
    def name(self) -> str:
        """How the manifest calls it: the last part of its path, so that a store can move."""
        return self.path.name


def source_of(path: Path, files: Iterable[Path] | None = None) -> Source:
    """The source at `path`; `files` are those that count where `path` is a folder."""
    files = [path] if files is None else list(files)
    sizes = [file.stat().st_size for file in files]
    checksum = 0
    for file, size in zip(files, sizes, strict=True):
        checksum = zlib.crc32(f"{file.name} {size}".encode(), checksum)
        checksum = zlib.crc32(_samples(file, size), checksum)
    return Source(path, sum(sizes), checksum)


def natural_order(path: Path) -> tuple[tuple[int, int, str], ...]:
    """Sort key that puts frame_2 before frame_10."""
    parts = re.split(r"(\d+)", str(path))
    return tuple((1, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts)


def _samples(file: Path, size: int) -> bytes:
    """Beginning, middle and end: telling two files apart must not cost reading them."""
    with open(file, "rb") as opened:
        samples = []
        for start in (0, size // 2, size - _SAMPLE_BYTES):
            opened.seek(max(start, 0))
            samples.append(opened.read(_SAMPLE_BYTES))
    return b"".join(samples)
