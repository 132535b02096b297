"""What a segment is converted from: a file or a folder, and how to tell that it is still the same."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from pcdet_poly.paths import Place, num_bytes, read_range

_SAMPLE_BYTES = 1 << 16
_THREADS = 16  # of requests under way: a cloud answers each in some 50 ms

Item = TypeVar("Item")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Source:
    """One input."""

    path: Place
    num_bytes: int
    fingerprint: int  # CRC-32 of the size and of three samples of every file

    @property
    def name(self) -> str:
        """How the manifest calls it: the last part of its path, so that a store can move."""
        return self.path.name


def describe_source(path: Place, files: Iterable[Place] | None = None) -> Source:
    """The source at `path`; `files` are those that count where `path` is a folder."""
    files = [path] if files is None else list(files)
    sizes = [num_bytes(file) for file in files]
    checksum = 0
    for file, size in zip(files, sizes, strict=True):
        checksum = zlib.crc32(f"{file.name} {size}".encode(), checksum)
        checksum = zlib.crc32(_read_samples(file, size), checksum)
    return Source(path, sum(sizes), checksum)


def natural_sort_key(path: Place) -> tuple[tuple[int, int, str], ...]:
    """Sort key that puts frame_2 before frame_10."""
    parts = re.split(r"(\d+)", str(path))
    return tuple((1, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts)


def map_in_threads(ask: Callable[[Item], Answer], items: Iterable[Item]) -> Iterator[Answer]:
    """`ask` of each item, in order, many waiting for their answers at the same time."""
    with ThreadPoolExecutor(_THREADS) as threads:
        yield from threads.map(ask, items)


def _read_samples(file: Place, size: int) -> bytes:
    """Beginning, middle and end: telling two files apart must not cost reading them."""
    starts = (max(start, 0) for start in (0, size // 2, size - _SAMPLE_BYTES))
    return b"".join(read_range(file, start, start + _SAMPLE_BYTES) for start in starts)
