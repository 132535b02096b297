"""zlib streams in and out: fast in, reproducible out."""

from __future__ import annotations

import zlib

try:
    from isal import igzip_lib, isal_zlib
except ImportError:  # no wheel for this machine: Python's zlib takes twice as long
    _decompress, _error = zlib.decompress, zlib.error
else:
    _decompress, _error = isal_zlib.decompress, igzip_lib.IsalError

from pcdet_poly.errors import UserError


def inflate(data: memoryview) -> bytes:
    """What a zlib stream holds."""
    try:
        return _decompress(data)
    except _error as error:
        raise UserError(f"{len(data)} bytes that do not decompress: {error}") from error


def deflate(data: bytes) -> bytes:
    """A zlib stream of `data`.

    Python's zlib at its fastest level, not isal: isal is five times faster, but may choose other
    matches on another processor, and files made from one seed should be equal everywhere.
    """
    return zlib.compress(data, level=1)
