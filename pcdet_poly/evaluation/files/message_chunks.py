"""Where the messages of a repeated field start in a serialised protocol buffer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pcdet_poly.errors import UserError
from pcdet_poly.limits import refuse_device
from pcdet_poly.ops.compiler.kernel import kernel

_TAG_OF_FIELD_1 = 0x0A  # field 1, length-delimited
_TAG_OF_FIELD_2 = 0x12
_CHUNK_MESSAGES = 20_000


@kernel
def _read_varint(data: np.ndarray, position: int) -> tuple[int, int]:
    """Return the number at `position` and the position behind it; position -1 where the data ends first."""
    value = 0
    for k in range(min(9, len(data) - position)):
        value |= int(data[position + k] & 0x7F) << (7 * k)
        if data[position + k] < 0x80:
            return value, position + k + 1
    return 0, -1


@kernel
def _find_chunk_starts(data: np.ndarray, every: int) -> tuple[np.ndarray, int, int]:
    """Find where every `every`-th message of field 1 starts.

    Anything but field 1 ends the list (Waymo's second field, no-label-zone objects, is not evaluated). Returns the
    starts with the end of the last message, the number of messages, and the position of damage or -1.
    """
    starts = np.empty(2 + len(data) // (2 * every), np.int64)
    position, num = 0, 0
    while position < len(data) and data[position] == _TAG_OF_FIELD_1:
        length, body = _read_varint(data, position + 1)
        if body < 0 or body + length > len(data):
            return starts[:0], num, position
        if num % every == 0:
            starts[num // every] = position
        position = body + length
        num += 1
    used = (num + every - 1) // every
    starts[used] = position
    return starts[: used + 1], num, -1


def read_message_chunks(path: str | Path) -> Iterator[tuple[int, bytes]]:
    """Read the messages of field 1 of a file, some thousands at a time.

    Yields the number of the first message and the serialised messages. Raises UserError where the file is damaged.
    """
    refuse_device(path)
    data = np.fromfile(path, np.uint8)
    if len(data) and data[0] not in (_TAG_OF_FIELD_1, _TAG_OF_FIELD_2):
        raise UserError(f"{path}: not a Waymo Objects file (starts with byte {data[0]:#04x}); is it compressed?")
    starts, num, damage = _find_chunk_starts(data, _CHUNK_MESSAGES)
    if damage >= 0:
        raise UserError(
            f"{path}: object {num} (byte {damage} of {len(data)}) runs past the end: the file is cut off; copy it again"
        )
    for k in range(len(starts) - 1):
        yield k * _CHUNK_MESSAGES, data[starts[k] : starts[k + 1]].tobytes()
