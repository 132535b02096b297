"""Encodes the points of one frame as the bytes of one Arrow IPC file, and decodes them.

Two precisions share one layout, in which each column of the points is stored by itself:

exact    every float32 bit for bit.
compact  x, y, z rounded to 1/256 m, so at most 1/512 m = 1.95 mm off, and exact in float32; stored
         as differences between neighbours, which are small because points come in scan order.
         Another column is float16 if all its values are at most 65,504: 11 significant bits, so at most
         a relative 2^-11 off, or 2^-25 where the value is below 2^-14. A column with larger values keeps
         11 significant bits in float32.

In both, whole numbers from 0 to 255 (flags, return and LiDAR numbers) are stored as bytes, without
loss. A column whose values have several bytes becomes that many Arrow columns, of which `x.0` holds the
lowest bytes: zstd compresses bytes of one kind better. docs/data_format.md shows how to read both
precisions without this project.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from pcdet_poly.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa

Precision = Literal["exact", "compact"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

STEPS_PER_M = 256
MAX_COORDINATE_M = 2.0**16  # beyond this, float32 cannot tell steps of 1/256 m apart
_COORDINATES = ("x", "y", "z")
_STEPS = "_steps"  # suffix of a compact coordinate's column
_DROPPED_BITS = 13  # float32 stores 23 mantissa bits: 10 of them and the implicit one are kept
_MAX_FLOAT16 = 65504.0
_WORD_BYTES = 4
_HALF_BYTES = 2


def encode_points(points: np.ndarray, columns: Sequence[str], precision: Precision) -> bytes:
    """Encode the points of one frame.

    Args:
        points: (P, C) float32, one row per point.
        columns: names of the C columns, such as x, y, z.
        precision: exact keeps every bit, compact rounds as the head of this file says.

    Returns:
        An Arrow IPC file.

    Raises:
        UserError: with precision compact, where a value is too large to be stored or not finite.
    """
    import pyarrow as pa

    by_column = np.ascontiguousarray(points.T)
    if precision == "compact":
        _check_compact(by_column, columns)
    stored: list[tuple[str, np.ndarray]] = []
    for name, values in zip(columns, by_column, strict=True):
        stored += _encode_column(name, values, precision)
    batch = pa.record_batch([pa.array(plane) for _, plane in stored], names=[name for name, _ in stored])
    target = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=pa.Codec("zstd", 1), use_threads=False)
    with pa.ipc.new_file(target, batch.schema, options=options) as writer:
        writer.write_batch(batch)
    return target.getvalue().to_pybytes()


def decode_points(data: memoryview | bytes, columns: Sequence[str]) -> np.ndarray:
    """Decode what `encode_points` wrote.

    Args:
        data: an Arrow IPC file.
        columns: names of the C columns, in the order wanted.

    Returns:
        (P, C) float32, one row per point.
    """
    import pyarrow as pa

    from pcdet_poly.ops.arrays.point_columns import decode_coordinate_steps, decode_float16

    options = pa.ipc.IpcReadOptions(use_threads=False)
    batch = pa.ipc.open_file(pa.BufferReader(data), options=options).get_batch(0)
    stored = dict(zip(batch.schema.names, batch.columns, strict=True))
    points = np.empty((batch.num_rows, len(columns)), np.float32)
    for i, name in enumerate(columns):
        if name in stored:
            points[:, i] = stored[name].to_numpy()
        elif _byte_column(name + _STEPS, 0) in stored:
            words, _ = _join_bytes(stored, name + _STEPS)
            decode_coordinate_steps(words.view(np.int32), 1 / STEPS_PER_M, points, i)
        else:
            words, num_bytes = _join_bytes(stored, name)
            if num_bytes == _HALF_BYTES:
                decode_float16(words, points, i)
            else:
                points[:, i] = words.view(np.float32)
    return points


def _encode_column(name: str, values: np.ndarray, precision: Precision) -> Iterator[tuple[str, np.ndarray]]:
    """Yield name and bytes (P,) uint8 of each Arrow column that together hold `values` (P,) float32."""
    from pcdet_poly.ops.arrays.point_columns import (
        convert_to_uint8,
        encode_coordinate_steps,
        encode_float16,
        split_bytes,
    )

    num_bytes, words = _WORD_BYTES, values.view(np.uint32)
    if precision == "compact" and name in _COORDINATES:
        name, words = name + _STEPS, encode_coordinate_steps(values, STEPS_PER_M).view(np.uint32)
    else:
        small = np.empty(len(values), np.uint8)
        if convert_to_uint8(values, small):
            yield name, small
            return
        if precision == "compact" and _fits_float16(values):
            num_bytes, words = _HALF_BYTES, encode_float16(words)
        elif precision == "compact":
            words = _round_mantissa(words)
    planes = np.empty((num_bytes, len(values)), np.uint8)
    split_bytes(words, planes)
    for position, plane in enumerate(planes):
        yield _byte_column(name, position), plane


def _join_bytes(stored: Mapping[str, pa.Array], name: str) -> tuple[np.ndarray, int]:
    """Join the Arrow columns of `name` into words (P,) uint32; also return how many bytes a word has."""
    from pcdet_poly.ops.arrays.point_columns import insert_byte

    words = np.zeros(len(stored[_byte_column(name, 0)]), np.uint32)
    num_bytes = 0
    while _byte_column(name, num_bytes) in stored:
        insert_byte(stored[_byte_column(name, num_bytes)].to_numpy(), num_bytes, words)
        num_bytes += 1
    return words, num_bytes


def _byte_column(name: str, position: int) -> str:
    return f"{name}.{position}"


def _fits_float16(values: np.ndarray) -> bool:
    return bool(values.min(initial=0) >= -_MAX_FLOAT16 and values.max(initial=0) <= _MAX_FLOAT16)


def _round_mantissa(bits: np.ndarray) -> np.ndarray:
    """Round float32 numbers, given as bits (P,) uint32, to 11 significant bits, ties away from zero."""
    kept = (bits + np.uint32(1 << (_DROPPED_BITS - 1))) >> np.uint32(_DROPPED_BITS)
    return kept << np.uint32(_DROPPED_BITS)


def _check_compact(by_column: np.ndarray, columns: Sequence[str]) -> None:
    """Raise `UserError` for values (C, P) that compact cannot store; it names the first such point."""
    for name, values in zip(columns, by_column, strict=True):
        limit = MAX_COORDINATE_M if name in _COORDINATES else float(np.finfo(np.float32).max / 2)
        if not (-limit <= values.min(initial=0) and values.max(initial=0) <= limit):  # NaN is neither
            row = int(np.argmin(np.abs(values) <= limit))
            raise UserError(
                f"point {row}: {name} = {values[row]} cannot be stored with precision compact "
                f"(coordinates up to {MAX_COORDINATE_M:.0f} m, finite values); clean the points or use precision exact"
            )
