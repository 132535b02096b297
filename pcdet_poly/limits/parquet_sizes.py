"""How many numbers a Parquet file unpacks to, told by its footer and its pages before anything is unpacked.

Equal numbers take next to nothing in a Parquet file: a kilobyte may stand for gigabytes. pyarrow unpacks it without a
limit, and aborts the process where it is asked about the columns of a damaged footer; so the few fields that count are
read here, from Thrift's compact protocol.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import IO, Any

_MAGIC = b"PAR1"
_MAX_DEPTH = 16  # of structures in each other; Parquet's own have 6
_HEADER_BYTES = (1 << 10, 1 << 20)  # of a page's header: most are short, some hold long texts as statistics
# Types in Thrift's compact protocol.
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 12
_INTEGERS = (4, 5, 6)
# Fields, by their numbers in parquet.thrift.
_ROW_GROUPS, _COLUMNS, _COLUMN_META = 4, 1, 3
_TYPE, _NUM_VALUES, _DATA_OFFSET, _DICTIONARY_OFFSET = 1, 5, 9, 11
_PAGE_BYTES, _PAGE_HEADERS = 3, (5, 8)
_WIDTHS = {0: 1, 1: 4, 2: 8, 3: 12, 4: 4, 5: 8, 6: 64, 7: 64}  # bytes by physical type; texts as short ones


@dataclass(frozen=True)
class _Chunk:
    """A column in a row group."""

    width: int  # bytes of a value
    num_values: int
    start: int  # of its first page


def count_unpacked_bytes(file: IO[bytes], *, look_at_pages: bool = True) -> list[int]:
    """Count the bytes that the columns of each row group of a Parquet file unpack to; texts count as short ones.

    Args:
        file: the file, opened; where it stands is as before in the end.
        look_at_pages: count what the pages say where that is more than the footer does. Each is looked for in the file.

    Raises:
        ValueError: the file is damaged, or no Parquet.
    """
    before = file.tell()
    try:
        return [
            sum(chunk.width * _count_values(file, chunk, look_at_pages) for chunk in _list_chunks(group))
            for group in _read_footer(file)[_ROW_GROUPS]
        ]
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError("its footer is damaged") from error
    finally:
        file.seek(before)


def _read_footer(file: IO[bytes]) -> dict[int, Any]:
    num_bytes = file.seek(0, 2)
    file.seek(max(0, num_bytes - 8))
    end = file.read(8)
    length = int.from_bytes(end[:4], "little")
    if end[4:] != _MAGIC or length + 12 > num_bytes:
        raise ValueError("it has no footer of a Parquet file")
    file.seek(num_bytes - 8 - length)
    return _read_struct(BytesIO(file.read(length)))


def _list_chunks(group: dict[int, Any]) -> Iterator[_Chunk]:
    for column in group[_COLUMNS]:
        meta = column[_COLUMN_META]
        start = min(meta[_DATA_OFFSET], meta.get(_DICTIONARY_OFFSET) or meta[_DATA_OFFSET])
        if meta[_NUM_VALUES] < 0 or start < 0:
            raise ValueError("its footer is damaged")
        yield _Chunk(_WIDTHS[meta[_TYPE]], meta[_NUM_VALUES], start)


def _count_values(file: IO[bytes], chunk: _Chunk, look_at_pages: bool) -> int:
    """Count a column's values: what the footer says, or the pages up to the one in which its number is reached."""
    count, position = 0 if look_at_pages else chunk.num_values, chunk.start
    while count < chunk.num_values:
        header, num_bytes = _read_page_header(file, position)
        values = [header[name][1] for name in _PAGE_HEADERS if name in header]
        if header[_PAGE_BYTES] < 0 or min(values, default=0) < 0:
            raise ValueError("a page of it is damaged")
        count += max(values, default=0)
        position += num_bytes + header[_PAGE_BYTES]
    return count


def _read_page_header(file: IO[bytes], position: int) -> tuple[dict[int, Any], int]:
    """Read the header of a page, and count its bytes."""
    for most in _HEADER_BYTES:
        file.seek(position)
        data = BytesIO(file.read(most))
        try:
            return _read_struct(data), data.tell()
        except ValueError:
            if most == _HEADER_BYTES[-1]:
                raise
    raise AssertionError("unreachable")


def _read_struct(data: BytesIO, depth: int = 0) -> dict[int, Any]:
    """Read a structure as its fields by number."""
    if depth > _MAX_DEPTH:
        raise ValueError("its footer is nested too deep")
    fields: dict[int, Any] = {}
    number = 0
    while kind := _read_byte(data):
        number = number + (kind >> 4) if kind >> 4 else _read_integer(data)
        fields[number] = _read_value(data, kind & 15, depth, is_field=True)
    return fields


def _read_value(data: BytesIO, kind: int, depth: int, *, is_field: bool = False) -> Any:
    if kind in (_TRUE, _FALSE):
        return kind == _TRUE if is_field else _read_byte(data) == _TRUE
    if kind in _INTEGERS:
        return _read_integer(data)
    if kind == _BINARY:
        return _take(data, _read_varint(data))
    if kind == _STRUCT:
        return _read_struct(data, depth + 1)
    if kind in (_LIST, _SET):
        return _read_list(data, depth + 1)
    if kind in (_BYTE, _DOUBLE):
        return _take(data, 1 if kind == _BYTE else 8)
    raise ValueError("its footer is damaged")


def _read_list(data: BytesIO, depth: int) -> list[Any]:
    if depth > _MAX_DEPTH:
        raise ValueError("its footer is nested too deep")
    head = _read_byte(data)
    length = head >> 4 if head >> 4 < 15 else _read_varint(data)
    return [_read_value(data, head & 15, depth) for _ in range(length)]  # each takes a byte at least, or the data ends


def _read_integer(data: BytesIO) -> int:
    value = _read_varint(data)
    return (value >> 1) ^ -(value & 1)


def _read_varint(data: BytesIO) -> int:
    value = shift = 0
    while True:
        byte = _read_byte(data)
        value |= (byte & 127) << shift
        if byte < 128:
            return value
        shift += 7
        if shift > 63:
            raise ValueError("its footer is damaged")


def _read_byte(data: BytesIO) -> int:
    return _take(data, 1)[0]


def _take(data: BytesIO, length: int) -> bytes:
    taken = data.read(length)
    if len(taken) != length:
        raise ValueError("it is cut off")
    return taken
