"""Points of one frame <-> bytes of one Arrow IPC file.

Two precisions share one layout, a value per item of `Frame.columns`:

exact    every float32 bit for bit.
compact  x, y, z rounded to 1/256 m, so at most 1/512 m = 1.95 mm off, and exact in float32; stored
         as differences between neighbours, which are small because points come in scan order.
         Other values are float16 where all of theirs are at most 65,504: 11 significant bits, at most
         a relative 2^-11 off, or 2^-25 where the value is below 2^-14. Where some are larger, they keep
         as many bits in float32.

In both, whole numbers from 0 to 255 (flags, return and LiDAR numbers) are stored as bytes, without
loss. A value of several bytes is as many columns, `x.0` its lowest bytes: zstd finds more in bytes of
one kind. docs/data_format.md shows how to read either without this project.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from pcdet_poly.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa

Precision = Literal["exact", "compact"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

STEPS_PER_M = 256
MAX_COORDINATE_M = 2.0**16  # beyond, 1/256 m is no longer a float32
_COORDINATES = ("x", "y", "z")
_STEPS = "_steps"  # suffix of a compact coordinate's column
_DROPPED_BITS = 13  # of float32's 23 mantissa bits: 10 stored ones and the implicit one stay
_MAX_FLOAT16 = 65504.0
_WORD_BYTES = 4
_HALF_BYTES = 2


def encode_points(points: np.ndarray, columns: tuple[str, ...], precision: Precision) -> bytes:
    """(P, C) float32 with named columns -> an Arrow IPC file."""
    import pyarrow as pa

    by_column = np.ascontiguousarray(points.T)
    if precision == "compact":
        _check_compact(by_column, columns)
    stored = [
        column for name, values in zip(columns, by_column, strict=True) for column in _encode_column(name, values, precision)
    ]
    batch = pa.record_batch([pa.array(plane) for _, plane in stored], names=[name for name, _ in stored])
    target = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=pa.Codec("zstd", 1), use_threads=False)
    with pa.ipc.new_file(target, batch.schema, options=options) as writer:
        writer.write_batch(batch)
    return target.getvalue().to_pybytes()


def decode_points(data: memoryview | bytes, columns: tuple[str, ...]) -> np.ndarray:
    """The inverse of `encode_points`: (P, C) float32."""
    import pyarrow as pa

    from pcdet_poly.ops.cpu.columns import coordinates_of_steps, float16_values

    options = pa.ipc.IpcReadOptions(use_threads=False)
    batch = pa.ipc.open_file(pa.BufferReader(data), options=options).get_batch(0)
    stored = dict(zip(batch.schema.names, batch.columns, strict=True))
    points = np.empty((batch.num_rows, len(columns)), np.float32)
    for i, name in enumerate(columns):
        if name in stored:
            points[:, i] = stored[name].to_numpy()
        elif _byte_column(name + _STEPS, 0) in stored:
            words, _ = _join_bytes(stored, name + _STEPS)
            coordinates_of_steps(words.view(np.int32), 1 / STEPS_PER_M, points, i)
        else:
            words, num_bytes = _join_bytes(stored, name)
            if num_bytes == _HALF_BYTES:
                float16_values(words, points, i)
            else:
                points[:, i] = words.view(np.float32)
    return points


def _encode_column(name: str, values: np.ndarray, precision: Precision) -> Iterator[tuple[str, np.ndarray]]:
    """Names and bytes (P,) uint8 of the columns that hold `values` (P,) float32."""
    from pcdet_poly.ops.cpu.columns import float16_bits, small_whole_numbers, split_bytes, steps_of_coordinates

    num_bytes, words = _WORD_BYTES, values.view(np.uint32)
    if precision == "compact" and name in _COORDINATES:
        name, words = name + _STEPS, steps_of_coordinates(values, STEPS_PER_M).view(np.uint32)
    else:
        small = np.empty(len(values), np.uint8)
        if small_whole_numbers(values, small):
            yield name, small
            return
        if precision == "compact" and _fits_float16(values):
            num_bytes, words = _HALF_BYTES, float16_bits(words)
        elif precision == "compact":
            words = _round_mantissa(words)
    planes = np.empty((num_bytes, len(values)), np.uint8)
    split_bytes(words, planes)
    for position, plane in enumerate(planes):
        yield _byte_column(name, position), plane


def _join_bytes(stored: Mapping[str, pa.Array], name: str) -> tuple[np.ndarray, int]:
    """The values (P,) uint32 whose bytes are the columns of `name`, and how many of these there are."""
    from pcdet_poly.ops.cpu.columns import add_byte

    words = np.zeros(len(stored[_byte_column(name, 0)]), np.uint32)
    num_bytes = 0
    while _byte_column(name, num_bytes) in stored:
        add_byte(stored[_byte_column(name, num_bytes)].to_numpy(), num_bytes, words)
        num_bytes += 1
    return words, num_bytes


def _byte_column(name: str, position: int) -> str:
    return f"{name}.{position}"


def _fits_float16(values: np.ndarray) -> bool:
    return bool(values.min(initial=0) >= -_MAX_FLOAT16 and values.max(initial=0) <= _MAX_FLOAT16)


def _round_mantissa(bits: np.ndarray) -> np.ndarray:
    """float32, as bits -> the nearest one with 11 significant bits, ties away from zero."""
    kept = (bits + np.uint32(1 << (_DROPPED_BITS - 1))) >> np.uint32(_DROPPED_BITS)
    return kept << np.uint32(_DROPPED_BITS)


def _check_compact(by_column: np.ndarray, columns: tuple[str, ...]) -> None:
    """Refuse (C, P) values that are too large, naming the first point of the first column that has any."""
    for name, values in zip(columns, by_column, strict=True):
        limit = MAX_COORDINATE_M if name in _COORDINATES else float(np.finfo(np.float32).max / 2)
        if not (-limit <= values.min(initial=0) and values.max(initial=0) <= limit):  # NaN is neither
            row = int(np.argmin(np.abs(values) <= limit))
            raise UserError(
                f"point {row}: {name} = {values[row]} cannot be stored with precision compact "
                f"(coordinates up to {MAX_COORDINATE_M:.0f} m, finite values); clean the points or use precision exact"
            )
