"""Reads fields of serialized protocol buffer messages without copying them.

A Waymo record is mostly camera JPEGs, and its range images are packed floats. Walking through the wire
format skips the JPEGs and views the floats in the record's memory; a parser would copy both.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from pcdet_poly.errors import UserError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_LENGTH = 1 << 31  # of an axis of a matrix: the format's integers end there


def iterate_fields(message: memoryview) -> Iterator[tuple[int, int | memoryview, memoryview]]:
    """Yield (field number, value, the whole field with its tag) for each field of a serialized message.

    A varint's value is an int; every other value is a view of its bytes.
    """
    position, end = 0, len(message)
    while position < end:
        start = position
        tag, position = _read_varint(message, position)
        kind = tag & 7
        value: int | memoryview
        if kind == _VARINT:
            value, position = _read_varint(message, position)
        else:
            if kind == _BYTES:
                length, position = _read_varint(message, position)
            elif kind in (_FIXED32, _FIXED64):
                length = 4 if kind == _FIXED32 else 8
            else:
                raise _make_error(f"wire type {kind}")
            value = message[position : position + length]
            position += length
            if position > end:
                raise _make_error("a field that ends beyond its message")
        yield tag >> 3, value, message[start:position]


def read_byte_fields(message: memoryview) -> dict[int, memoryview]:
    """Read the fields that hold bytes or another message, by field number; of repeated ones the last is kept."""
    return {number: value for number, value, _ in iterate_fields(message) if isinstance(value, memoryview)}


def read_integer(message: memoryview, number: int) -> int:
    """Read the last varint in field `number`; 0 if there is none."""
    found = [value for field, value, _ in iterate_fields(message) if field == number and isinstance(value, int)]
    return found[-1] if found else 0


def read_float_matrix(message: memoryview) -> np.ndarray:
    """Read a serialized MatrixFloat: a read-only float32 array of its shape that views the memory of `message`."""
    shape: list[int] = []
    chunks: list[memoryview] = []  # one in all if the floats are packed, one per float if they are not
    for number, value, _ in iterate_fields(message):
        if number == 1 and isinstance(value, memoryview):
            chunks.append(value)
        elif number == 2 and isinstance(value, memoryview):
            shape += _read_dimensions(value)
    data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
    if len(data) != 4 * math.prod(shape) or max(shape, default=0) > _MAX_LENGTH:
        raise UserError(f"matrix of {len(data)} bytes for shape {tuple(shape)}")
    matrix = np.frombuffer(data, "<f4").reshape(shape)
    matrix.flags.writeable = False
    return matrix


def _read_dimensions(shape: memoryview) -> list[int]:
    dimensions: list[int] = []
    for number, value, _ in iterate_fields(shape):
        if number == 1 and isinstance(value, int):
            dimensions.append(value)
        elif number == 1 and isinstance(value, memoryview):  # packed
            position = 0
            while position < len(value):
                dimension, position = _read_varint(value, position)
                dimensions.append(dimension)
    return dimensions


def _read_varint(data: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if position >= len(data) or shift > 63:
            raise _make_error("a number that does not end")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7


def _make_error(what: str) -> UserError:
    return UserError(f"not a protocol buffer message: {what}")
