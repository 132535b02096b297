"""Reads the vertices of PLY files: text, or binary of either byte order."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pcdet_poly.data.convert.cloud_rows import (
    check_padding,
    make_cut_error,
    parse_count,
    parse_text_rows,
    split_lines,
    view_binary_rows,
)
from pcdet_poly.errors import UserError

_KINDS = {
    **dict.fromkeys(("char", "int8"), "i1"),
    **dict.fromkeys(("uchar", "uint8"), "u1"),
    **dict.fromkeys(("short", "int16"), "i2"),
    **dict.fromkeys(("ushort", "uint16"), "u2"),
    **dict.fromkeys(("int", "int32"), "i4"),
    **dict.fromkeys(("uint", "uint32"), "u4"),
    **dict.fromkeys(("float", "float32"), "f4"),
    **dict.fromkeys(("double", "float64"), "f8"),
}
_STRUCT_CODES = {"i1": "b", "u1": "B", "i2": "h", "u2": "H", "i4": "i", "u4": "I"}  # of the lengths of lists
_BYTE_ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
_POINTS = "vertex"  # the element whose rows are points


@dataclass(frozen=True)
class _Property:
    """A column of an element; with `length`, the type of a number in front, each row has a list of its own length."""

    name: str
    kind: str
    length: str | None = None


@dataclass(frozen=True)
class _Element:
    """A table of the file: points, or the faces of a mesh."""

    name: str
    count: int
    properties: tuple[_Property, ...] = ()

    @property
    def has_lists(self) -> bool:
        """Whether rows differ in length."""
        return any(column.length for column in self.properties)


def read_ply(path: Path) -> dict[str, np.ndarray]:
    """Read the properties (P,) of a PLY file's vertices by name, each in its own type or as float64.

    Raises:
        UserError: if the file is not PLY, or does not hold exactly what its header announces.
    """
    data = path.read_bytes()
    byte_order, elements, start = _parse_header(data, path)
    body = memoryview(data)[start:]
    found = _read_text(body, elements, path) if not byte_order else _read_binary(body, byte_order, elements, path)
    if found is None:
        raise UserError(f"{path}: no element 'vertex' in it, so no points; write it again")
    return found


def _parse_header(data: bytes, path: Path) -> tuple[str, list[_Element], int]:
    """Byte order ("" for text), elements, and where the rows begin."""
    first_line = re.match(rb"ply[ \t]*(\r\n|\n|\r)", data)
    last_line = first_line[1] + b"end_header" + first_line[1] if first_line else b""
    end = data.find(last_line)
    if not first_line or end < 0:
        raise UserError(f"{path}: not a PLY file, or cut off in its header; write or fetch it again")
    _, *lines = split_lines(data[:end], f"{path}: header")
    byte_order, elements = None, list[_Element]()
    for words in (line.split() for line in lines):
        match words:
            case ["comment" | "obj_info", *_]:
                pass
            case ["format", name, "1.0"] if name in _BYTE_ORDERS:
                byte_order = _BYTE_ORDERS[name]
            case ["element", name, count]:
                elements.append(_Element(name, parse_count(count, f"{path}: element {name}")))
            case ["property", *column] if elements:
                element = elements.pop()
                elements.append(replace(element, properties=(*element.properties, _parse_property(column, path))))
            case _:
                raise UserError(f"{path}: header: '{' '.join(words)[:60]}' is not PLY; write it again")
    if byte_order is None:
        raise UserError(f"{path}: header: no line 'format'; write it again")
    return byte_order, elements, end + len(last_line)


def _parse_property(words: list[str], path: Path) -> _Property:
    match words:
        case [kind, name] if kind in _KINDS:
            return _Property(name, _KINDS[kind])
        case ["list", length, kind, name] if kind in _KINDS and _KINDS.get(length) in _STRUCT_CODES:
            return _Property(name, _KINDS[kind], _KINDS[length])
    raise UserError(f"{path}: header: 'property {' '.join(words)[:60]}' is not PLY; write it again")


def _read_text(body: memoryview, elements: list[_Element], path: Path) -> dict[str, np.ndarray] | None:
    lines, found = split_lines(bytes(body), str(path)), None
    for element in elements:
        where = f"{path}: element {element.name}"
        if element.has_lists:
            _check_text_lists(lines, element, where)
        else:
            rows = parse_text_rows(lines, element.count, len(element.properties), where)
            if element.name == _POINTS:
                found = {column.name: rows[:, i] for i, column in enumerate(element.properties)}
        lines = lines[element.count :]
    check_padding("\n".join(lines).encode(), str(path))
    return found


def _check_text_lists(lines: list[str], element: _Element, where: str) -> None:
    if len(lines) < element.count:
        raise make_cut_error(where, f"{element.count} rows", f"{len(lines)} lines")
    for line in lines[: element.count]:
        words = line.split()
        used = 0
        for column in element.properties:
            used += 1 + (parse_count(words[used], where) if column.length and used < len(words) else 0)
        if used != len(words):
            raise UserError(f"{where}: '{line[:60]}' is not a row of it: cut off or damaged; write it again")


def _read_binary(
    body: memoryview, byte_order: str, elements: list[_Element], path: Path
) -> dict[str, np.ndarray] | None:
    position, found = 0, None
    for element in elements:
        where = f"{path}: element {element.name}"
        if element.has_lists:
            position = _skip_binary_lists(body, position, byte_order, element, where)
        else:
            fields = {column.name: np.dtype(byte_order + column.kind) for column in element.properties}
            if len(fields) != len(element.properties) or not fields:
                raise UserError(f"{where}: has no properties, or two of one name; write it again")
            rows = view_binary_rows(body[position:], element.count, fields, where)
            position += element.count * sum(kind.itemsize for kind in fields.values())
            found = rows if element.name == _POINTS else found
    check_padding(body[position:], str(path))
    return found


def _skip_binary_lists(body: memoryview, position: int, byte_order: str, element: _Element, where: str) -> int:
    """Step over rows of which each says its own length; the position behind them."""
    sizes = [
        (struct.Struct(byte_order + _STRUCT_CODES[column.length]) if column.length else None, int(column.kind[1:]))
        for column in element.properties
    ]
    for row in range(element.count):
        for length, item_bytes in sizes:
            num_items, end = 1, position + (length.size if length else 0)
            if length and end <= len(body):
                (num_items,) = length.unpack_from(body, position)
            position = end + num_items * item_bytes
            if num_items < 0 or max(end, position) > len(body):
                raise make_cut_error(where, f"{element.count} rows", f"{row}")
    return position
