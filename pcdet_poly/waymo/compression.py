"""Inflates zlib streams fast, and deflates to the same bytes on every machine."""

from __future__ import annotations

import importlib
import zlib
from typing import Any

from pcdet_poly.errors import UserError
from pcdet_poly.limits import explain_limit, find_limit
from pcdet_poly.stage_timer import time_stage


def _import_fastest_zlib() -> Any:
    try:
        return importlib.import_module("isal.isal_zlib")
    except ImportError:  # there is no wheel for this machine: Python's own zlib takes twice as long
        return zlib


def _open_stream() -> Any:
    """Open a reader that stops at a limit: isal's own costs 2 % of the time, its stand-in for zlib's 16 %."""
    if _READER is zlib:
        return zlib.decompressobj()
    igzip = importlib.import_module("isal.igzip_lib")
    return igzip.IgzipDecompressor(flag=igzip.DECOMP_ZLIB)


_READER = _import_fastest_zlib()
MAX_INFLATED_BYTES = find_limit("STREAM")
_MAX_RATIO = 1032  # deflate's: no stream holds more than so many times its own length
_OUTPUT_BYTES = 1 << 22  # a TOP image holds 2.7 MB, its poses 4.1 MB: growing from 16 kB takes 15 % longer


def inflate(data: memoryview, max_bytes: int = MAX_INFLATED_BYTES) -> bytes:
    """Inflate a zlib stream.

    Raises:
        UserError: if the stream is damaged, or holds more than `max_bytes`: memory for more is never asked for.
    """
    try:
        with time_stage("decompress"):
            if len(data) * _MAX_RATIO <= max_bytes:  # too short to need a limit, which costs time
                return _READER.decompress(data, bufsize=_OUTPUT_BYTES)
            stream = _open_stream()
            inflated: bytes = stream.decompress(data, max_bytes + 1)
    except _READER.error as error:
        raise UserError(f"{len(data)} bytes that do not decompress: {error}") from error
    if len(inflated) > max_bytes:
        limit = f"; {explain_limit('STREAM', max_bytes)}" if max_bytes >= MAX_INFLATED_BYTES else ""
        raise UserError(
            f"{len(data)} bytes that decompress to more than {max_bytes}: damaged, or no range image{limit}"
        )
    if not stream.eof:
        raise UserError(f"{len(data)} bytes that do not decompress: incomplete or truncated stream")
    return inflated


def deflate(data: bytes) -> bytes:
    """Compress `data` to a zlib stream.

    Python's zlib at its fastest level, not isal: isal is five times faster, but may choose other
    matches on another processor, and files made from one seed should be equal everywhere.
    """
    return zlib.compress(data, level=1)
