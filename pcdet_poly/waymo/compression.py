"""Inflates zlib streams fast, and deflates to the same bytes on every machine."""

from __future__ import annotations

import importlib
import zlib
from typing import Any

from pcdet_poly.errors import UserError
from pcdet_poly.limits import explain_limit, find_limit
from pcdet_poly.stage_timer import time_stage


def _import_libdeflate() -> Any:
    try:
        return importlib.import_module("deflate")
    except ImportError:  # there is no wheel for this machine: Python's own zlib takes three times as long
        return None


_LIBDEFLATE = _import_libdeflate()
MAX_INFLATED_BYTES = find_limit("STREAM")
_MAX_RATIO = 1032  # deflate's: no stream holds more than so many times its own length
_USUAL_BYTES = 1 << 22  # a TOP image holds 2.7 MB, its poses 4.1 MB


def inflate(data: memoryview, max_bytes: int = MAX_INFLATED_BYTES) -> bytes | bytearray:
    """Inflate a zlib stream.

    Raises:
        UserError: if the stream is damaged, or holds more than `max_bytes`: memory for more is never asked for.
    """
    with time_stage("decompress"):
        inflated = _inflate_whole(data, max_bytes)
        return _inflate_or_explain(data, max_bytes) if inflated is None else inflated


def _inflate_whole(data: memoryview, max_bytes: int) -> bytearray | None:
    """Inflate a stream into memory that is there before; None where it does not fit, or is damaged.

    libdeflate writes into one block of a given size, and so is bounded without a cost. It takes .6 of the time of isal.
    """
    most = min(len(data) * _MAX_RATIO, max_bytes)
    if _LIBDEFLATE is None or not most:  # without room it does not look at the stream
        return None
    for room in sorted({min(_USUAL_BYTES, most), most}):
        try:
            inflated: bytearray = _LIBDEFLATE.zlib_decompress(data, room)
        except _LIBDEFLATE.DeflateError:
            continue
        return inflated
    return None


def _inflate_or_explain(data: memoryview, max_bytes: int) -> bytes:
    """Inflate a stream with Python's zlib, which tells why it cannot."""
    stream = zlib.decompressobj()
    try:
        inflated = stream.decompress(data, max_bytes + 1)
    except zlib.error as error:
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

    Python's zlib at its fastest level, not libdeflate: that is faster, but may choose other matches in another
    version, and files made from one seed should be equal everywhere.
    """
    return zlib.compress(data, level=1)
