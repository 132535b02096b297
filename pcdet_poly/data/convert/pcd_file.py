"""Reads PCD files of the Point Cloud Library: text, binary or compressed, of any fields."""

from __future__ import annotations

import struct
from dataclasses import dataclass
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

_KINDS = {("I", 1), ("I", 2), ("I", 4), ("I", 8), ("U", 1), ("U", 2), ("U", 4), ("U", 8), ("F", 4), ("F", 8)}
_KEYWORDS = frozenset(
    {"VERSION", "FIELDS", "COLUMNS", "SIZE", "TYPE", "COUNT", "WIDTH", "HEIGHT", "VIEWPOINT", "POINTS"}
)
_SIZES = struct.Struct("<II")  # of compressed and of decompressed data
_MAX_HEADER_BYTES = 1 << 16
_MAX_LENGTH = 1 << 16  # of a field; descriptors of points have some hundred numbers


@dataclass(frozen=True)
class _Header:
    """What the rows look like."""

    fields: tuple[tuple[str, str, int], ...]  # name, numpy type, numbers per point
    num_points: int
    encoding: str  # ascii, binary or binary_compressed
    num_bytes: int  # of the header, in front of the rows


def read_pcd(path: Path) -> dict[str, np.ndarray]:
    """Read the fields (P,) of a PCD file by name, each in its own type or as float64; of several numbers the first.

    Raises:
        UserError: if the file is not PCD, or does not hold exactly what its header announces.
    """
    data = path.read_bytes()
    header = _parse_header(data, path)
    body = memoryview(data)[header.num_bytes :]
    match header.encoding:
        case "ascii":
            return _read_text(body, header, path)
        case "binary":
            return _read_binary(body, header, path)
        case "binary_compressed":
            return _read_compressed(body, header, path)
    raise UserError(f"{path}: DATA {header.encoding[:40]}; ascii, binary or binary_compressed needed")


def _parse_header(data: bytes, path: Path) -> _Header:
    lines: dict[str, list[str]] = {}
    position = 0
    while "DATA" not in lines:
        end = data.find(b"\n", position, position + _MAX_HEADER_BYTES)
        words = data[position : max(end, 0)].split()
        keyword = words[0].decode("ascii", "replace") if words else "#"
        if (
            end < 0
            or not b" ".join(words).decode("ascii", "replace").isprintable()
            or not (keyword.startswith("#") or keyword in _KEYWORDS or keyword == "DATA")
        ):
            raise UserError(f"{path}: not a PCD file, or cut off in its header; write or fetch it again")
        position = end + 1
        lines["FIELDS" if keyword == "COLUMNS" else keyword] = [word.decode("ascii", "replace") for word in words[1:]]
    names, sizes, kinds = (lines.get(keyword, []) for keyword in ("FIELDS", "SIZE", "TYPE"))
    counts = lines.get("COUNT", ["1"] * len(names))
    width, height = (_parse_number(lines, keyword, path) for keyword in ("WIDTH", "HEIGHT"))
    num_points = _parse_number(lines, "POINTS", path) if "POINTS" in lines else width * height
    if num_points != width * height:
        raise UserError(f"{path}: {num_points} points, but {width} x {height} announced; write it again")
    if not len(names) == len(sizes) == len(kinds) == len(counts) or not names:
        raise UserError(f"{path}: FIELDS, SIZE, TYPE and COUNT differ in length; write it again")
    fields = tuple(
        (name, _find_kind(kind, size, path), _parse_length(count, path))
        for name, kind, size, count in zip(names, kinds, sizes, counts, strict=True)
    )
    return _Header(fields, num_points, " ".join(lines["DATA"]), position)


def _parse_number(lines: dict[str, list[str]], keyword: str, path: Path) -> int:
    return parse_count(" ".join(lines.get(keyword, ["nothing"])), f"{path}: {keyword}")


def _parse_length(count: str, path: Path) -> int:
    """Parse how many numbers a field has per point."""
    if (length := parse_count(count, f"{path}: COUNT")) > _MAX_LENGTH:
        raise UserError(f"{path}: COUNT {length}; at most {_MAX_LENGTH} numbers per point can be read; write it again")
    return length


def _find_kind(kind: str, size: str, path: Path) -> str:
    """The numpy type of a field, such as <f4."""
    if (kind, parse_count(size, f"{path}: SIZE")) not in _KINDS:
        raise UserError(
            f"{path}: a field of TYPE {kind[:20]} and SIZE {size}; I or U of 1, 2, 4, 8, or F of 4, 8 needed"
        )
    return f"<{kind.lower()}{int(size)}"


def _read_text(body: memoryview, header: _Header, path: Path) -> dict[str, np.ndarray]:
    lines = split_lines(bytes(body), str(path))
    rows = parse_text_rows(lines, header.num_points, sum(count for _, _, count in header.fields), str(path))
    check_padding("\n".join(lines[header.num_points :]).encode(), str(path))
    starts = np.cumsum([0, *(count for _, _, count in header.fields)])
    return {name: rows[:, start] for (name, _, count), start in zip(header.fields, starts[:-1], strict=True) if count}


def _read_binary(body: memoryview, header: _Header, path: Path) -> dict[str, np.ndarray]:
    """Rows one after the other. Unused fields may share a name, so positions stand for names."""
    kinds = {str(i): np.dtype((kind, (count,))) for i, (_, kind, count) in enumerate(header.fields)}
    columns = view_binary_rows(body, header.num_points, kinds, str(path))
    check_padding(body[header.num_points * sum(kind.itemsize for kind in kinds.values()) :], str(path))
    return {name: columns[str(i)][:, 0] for i, (name, _, count) in enumerate(header.fields) if count}


def _read_compressed(body: memoryview, header: _Header, path: Path) -> dict[str, np.ndarray]:
    """All values of the first field, then all of the second, compressed together."""
    if len(body) < _SIZES.size:
        raise make_cut_error(str(path), f"{_SIZES.size} bytes", f"{len(body)} bytes")
    from pcdet_poly.data.convert.lzf import MAX_RATIO, decompress_lzf  # a kernel, which only such files take

    num_compressed, num_bytes = _SIZES.unpack_from(body)
    compressed = body[_SIZES.size : _SIZES.size + num_compressed]
    if len(compressed) < num_compressed:
        raise make_cut_error(str(path), f"{num_compressed} bytes", f"{len(compressed)} bytes")
    check_padding(body[_SIZES.size + num_compressed :], str(path))
    needed = header.num_points * sum(count * np.dtype(kind).itemsize for _, kind, count in header.fields)
    if num_bytes != needed or num_bytes > MAX_RATIO * num_compressed:
        raise UserError(
            f"{path}: {num_compressed} compressed bytes said to hold {num_bytes}, {needed} needed for "
            f"{header.num_points} points: damaged; write or fetch it again"
        )
    data = memoryview(decompress_lzf(np.frombuffer(compressed, np.uint8), num_bytes, str(path)).data)
    found, position = {}, 0
    for name, kind, count in header.fields:
        end = position + header.num_points * count * np.dtype(kind).itemsize
        values = np.frombuffer(data[position:end], kind).reshape(header.num_points, count)
        if count:
            found[name] = values[:, 0]
        position = end
    return found
