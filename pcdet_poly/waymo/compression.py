"""Inflates zlib streams fast, and deflates to the same bytes on every machine."""

from __future__ import annotations

import importlib
import zlib
from typing import Any

from pcdet_poly.errors import UserError
from pcdet_poly.stage_timer import time_stage


def _import_fastest_zlib() -> Any:
    try:
        return importlib.import_module("isal.isal_zlib")
    except ImportError:  # there is no wheel for this machine: Python's own zlib takes twice as long
        return zlib


_READER = _import_fastest_zlib()
_OUTPUT_BYTES = 1 << 22  # a TOP image holds 2.7 MB, its poses 4.1 MB: growing from 16 kB takes 15 % longer


def inflate(data: memoryview) -> bytes:
    """Inflate a zlib stream; raise `UserError` if it is damaged."""
    try:
        with time_stage("decompress"):
            return _READER.decompress(data, bufsize=_OUTPUT_BYTES)
    except _READER.error as error:
        raise UserError(f"{len(data)} bytes that do not decompress: {error}") from error


def deflate(data: bytes) -> bytes:
    """Compress `data` to a zlib stream.

    Python's zlib at its fastest level, not isal: isal is five times faster, but may choose other
    matches on another processor, and files made from one seed should be equal everywhere.
    """
    return zlib.compress(data, level=1)
