"""Points of one frame <-> bytes of one Parquet file.

Two precisions share one layout, a column per value of `Frame.columns`:

exact    every float32 bit for bit (BYTE_STREAM_SPLIT).
compact  x, y, z rounded to 1/256 m, so at most 1/512 m = 1.95 mm off, and exact in float32; stored
         as differences between neighbours, which are small because points come in scan order.
         Other columns are float16 where all their values are at most 65,504: 11 significant bits, at most
         a relative 2^-11 off, or 2^-25 where the value is below 2^-14. Columns with larger values keep as
         many bits in float32.

In both, a column of whole numbers from 0 to 255 (flags, return and LiDAR numbers) is stored as
bytes, without loss. docs/data_format.md shows how to read either without this project.
"""

from __future__ import annotations

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
_PAGE_BYTES = 1 << 26  # one page per column: frames are read whole
_BATCH_ROWS = 1 << 20  # encoded at a time; pyarrow's 1,024 take a tenth longer


def encode_points(points: np.ndarray, columns: tuple[str, ...], precision: Precision) -> bytes:
    """(P, C) float32 with named columns -> a Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    by_column = np.ascontiguousarray(points.T)
    if precision == "compact":
        _check_compact(by_column, columns)
    stored = dict(_stored(name, values, precision) for name, values in zip(columns, by_column, strict=True))
    split = [name for name, values in stored.items() if values.dtype != np.uint8]
    target = pa.BufferOutputStream()
    pq.write_table(
        pa.table({name: pa.array(values) for name, values in stored.items()}),
        target,
        compression="zstd",
        compression_level=1,  # level 3 takes a third longer and saves 1 %
        use_dictionary=False,  # takes twice as long to write as it takes zstd to find the repetitions
        column_encoding=dict.fromkeys(split, "BYTE_STREAM_SPLIT"),
        write_statistics=False,
        store_schema=False,
        row_group_size=max(len(points), 1),
        data_page_size=_PAGE_BYTES,
        write_batch_size=_BATCH_ROWS,
    )
    return target.getvalue().to_pybytes()


def decode_points(data: memoryview | bytes, columns: tuple[str, ...]) -> np.ndarray:
    """The inverse of `encode_points`: (P, C) float32."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from pcdet_poly.ops.cpu.columns import coordinates_of_steps, float16_values

    table = pq.ParquetFile(pa.BufferReader(data)).read(use_threads=False)
    points = np.empty((table.num_rows, len(columns)), np.float32)
    for i, name in enumerate(columns):
        if name + _STEPS in table.column_names:
            coordinates_of_steps(_numpy(table.column(name + _STEPS)), 1 / STEPS_PER_M, points, i)
            continue
        values = _numpy(table.column(name))
        if values.dtype == np.float16:
            float16_values(values.view(np.uint16), points, i)
        else:
            points[:, i] = values
    return points


def _numpy(column: pa.ChunkedArray) -> np.ndarray:
    return column.combine_chunks().to_numpy(zero_copy_only=False)


def _stored(name: str, values: np.ndarray, precision: Precision) -> tuple[str, np.ndarray]:
    """Name and values of the column that holds `values` (P,) float32."""
    from pcdet_poly.ops.cpu.columns import small_whole_numbers, steps_of_coordinates

    if precision == "compact" and name in _COORDINATES:
        return name + _STEPS, steps_of_coordinates(values, STEPS_PER_M)
    small = np.empty(len(values), np.uint8)
    if small_whole_numbers(values, small):
        return name, small
    return name, values if precision == "exact" else _eleven_bits(values)


def _eleven_bits(values: np.ndarray) -> np.ndarray:
    """float16, or float32 with as many significant bits where values are too large for it."""
    from pcdet_poly.ops.cpu.columns import float16_bits

    if values.min(initial=0) >= -_MAX_FLOAT16 and values.max(initial=0) <= _MAX_FLOAT16:
        return float16_bits(values.view(np.uint32)).view(np.float16)
    return _round_mantissa(values)


def _round_mantissa(values: np.ndarray) -> np.ndarray:
    """The nearest float32 with 11 significant bits, ties away from zero."""
    bits = values.view(np.uint32)
    kept = (bits + np.uint32(1 << (_DROPPED_BITS - 1))) >> np.uint32(_DROPPED_BITS)
    return (kept << np.uint32(_DROPPED_BITS)).view(np.float32)


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
