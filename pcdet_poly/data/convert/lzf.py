"""Decompresses LZF, the compression inside of PCD files."""

from __future__ import annotations

import numpy as np

from pcdet_poly.errors import UserError
from pcdet_poly.ops.compiler.kernel import kernel

MAX_RATIO = 88  # three bytes stand for at most 264
_MAX_LITERALS = 32  # a control byte below this is followed by one byte more than it says, to be copied as they are
_LONG = 7  # this length is continued in the next byte


def decompress_lzf(data: np.ndarray, num_bytes: int, where: str) -> np.ndarray:
    """Decompress an LZF stream.

    Args:
        data: (N,) uint8, the stream.
        num_bytes: the exact number of bytes that it holds, at most MAX_RATIO N.
        where: file, for errors.

    Returns:
        (num_bytes,) uint8.

    Raises:
        UserError: if the stream is damaged, or holds another number of bytes.
    """
    decompressed = np.empty(num_bytes, np.uint8)
    if _decompress(data, decompressed) != num_bytes:
        raise UserError(f"{where}: compressed data that does not decompress; it is damaged, write or fetch it again")
    return decompressed


@kernel
def _decompress(data: np.ndarray, decompressed: np.ndarray) -> int:
    """Fill `decompressed` (M,) uint8 from the stream `data` (N,) uint8; return how much was filled, -1 if damaged."""
    read, written = np.int64(0), np.int64(0)
    while read < len(data):
        control = np.int64(data[read])
        read += 1
        if control < _MAX_LITERALS:
            length = control + 1
            if read + length > len(data) or written + length > len(decompressed):
                return -1
            for k in range(length):
                decompressed[written + k] = data[read + k]
            read += length
        else:
            length = control >> 5
            if length == _LONG:
                if read >= len(data):
                    return -1
                length += np.int64(data[read])
                read += 1
            if read >= len(data):
                return -1
            start = written - ((control & 31) << 8) - np.int64(data[read]) - 1
            read += 1
            length += 2
            if start < 0 or written + length > len(decompressed):
                return -1
            for k in range(length):  # one by one: what is copied may have been written just before
                decompressed[written + k] = decompressed[start + k]
        written += length
    return int(written)
