"""Columns of a Parquet file, read without trust, and their checksums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import google_crc32c
import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class ListColumn:
    """F lists of numbers."""

    lengths: np.ndarray  # (F,) int64
    values: np.ndarray  # the elements of all lists, one list after the other

    @property
    def ends(self) -> np.ndarray:
        """Where each list ends, after a 0, (F + 1,) int32."""
        return np.cumsum([0, *self.lengths], dtype=np.int32)

    @classmethod
    def join(cls, arrays: Sequence[np.ndarray], dtype: Any) -> Self:
        """Join arrays of any shape, one list each."""
        flat = np.concatenate([np.zeros(0, dtype), *(array.reshape(-1).astype(dtype) for array in arrays)])
        return cls(np.array([array.size for array in arrays], np.int64), flat)


def read_lists(table: pa.Table, name: str, dtype: Any) -> ListColumn:
    """Read a column of lists of numbers.

    Args:
        table: has the column.
        name: of the column.
        dtype: what the numbers become.

    Returns:
        The lists.

    Raises:
        ValueError: the column holds something else, or nothing in places.
    """
    import pyarrow as pa

    column = table.column(name).combine_chunks()
    column.validate(full=True)
    if not (pa.types.is_list(column.type) or pa.types.is_large_list(column.type)):
        raise ValueError(f"{name} is a column of {column.type}, not of lists")
    values = column.flatten()
    if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type)):
        raise ValueError(f"{name} is a column of lists of {values.type}, not of numbers")
    if column.null_count or values.null_count:
        raise ValueError(f"{name} has places without a value")
    lengths = column.value_lengths().to_numpy(zero_copy_only=False).astype(np.int64)
    return ListColumn(lengths, values.to_numpy(zero_copy_only=False).astype(dtype))


def read_texts(table: pa.Table, name: str) -> tuple[str, ...]:
    """Read a column of texts. Raises ValueError where it holds something else, or nothing in places."""
    import pyarrow as pa

    column = table.column(name)
    column.validate(full=True)
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    column = column.unify_dictionaries().combine_chunks()
    kind = column.type.value_type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)) or column.null_count:
        raise ValueError(f"{name} is a column of {kind} with {column.null_count} places without a value")
    texts = column.dictionary.to_pylist()
    return tuple(texts[number] for number in column.indices.to_pylist())


def checksum_column(values: Sequence[str] | ListColumn) -> int:
    """Return the CRC-32C of texts or lists of numbers: of the lengths as int64, then of everything, little-endian."""
    if isinstance(values, ListColumn):
        lengths, content = values.lengths, values.values.astype(values.values.dtype.newbyteorder("<")).tobytes()
    else:
        encoded = [text.encode("utf-8", "surrogatepass") for text in values]
        lengths, content = np.array([len(text) for text in encoded], np.int64), b"".join(encoded)
    return int(google_crc32c.extend(google_crc32c.value(lengths.astype("<i8").tobytes()), content))


def list_damage_errors() -> tuple[type[Exception], ...]:
    """Return what pyarrow and this file raise on damage, whatever it leads to."""
    import pyarrow as pa

    return (pa.ArrowException, OSError, ValueError, TypeError, LookupError, OverflowError, MemoryError, RuntimeError)


def describe_damage(error: BaseException) -> str:
    """Return the first line of an error, not too long."""
    lines = str(error).splitlines() or [type(error).__name__]
    return lines[0][:160]
