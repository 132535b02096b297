"""Rows of numbers in point cloud files, text or binary, checked against the number that a header announces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pcdet_poly.errors import UserError

_PADDING = bytes.maketrans(b"\0\r\n\t ", b"\0\0\0\0\0")  # maps what may follow the last row to zeros
_MAX_DIGITS = 18  # longer numbers are beyond 64 bits


def split_lines(text: bytes, where: str) -> list[str]:
    """Split text with any kind of line end into its lines, without blank ones; raise `UserError` if it is no ASCII."""
    try:
        lines = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise UserError(f"{where}: not text: byte {error.start} is {text[error.start]}; write it again") from None
    return [line for line in lines if line.strip()]


def parse_count(text: str, where: str) -> int:
    """Parse a whole number of a header, at least 0; raise `UserError` if it is none."""
    if not (text.isascii() and text.isdecimal()) or len(text) > _MAX_DIGITS:
        raise UserError(f"{where}: '{text[:40]}' is not a count; the file is damaged, write it again")
    return int(text)


def parse_text_rows(lines: Sequence[str], count: int, num_columns: int, where: str) -> np.ndarray:
    """Parse rows of numbers.

    Args:
        lines: one row each, its numbers separated by blanks.
        count: rows that the header announces.
        num_columns: numbers in each row.
        where: file and part of it, for errors.

    Returns:
        (count, num_columns) float64.

    Raises:
        UserError: if there are fewer lines, or a line is not a row of numbers.
    """
    if len(lines) < count:
        raise make_cut_error(where, f"{count} rows", f"{len(lines)} lines")
    if not count:
        return np.empty((0, num_columns))
    try:
        rows = np.loadtxt(lines[:count], np.float64, comments=None, ndmin=2)
    except ValueError as error:
        reason = str(error).partition("\n")[0].partition(";")[0]
        raise UserError(f"{where}: not rows of numbers ({reason}): cut off or damaged; write it again") from None
    if rows.shape != (count, num_columns):
        raise UserError(f"{where}: rows of {rows.shape[1]} numbers, {num_columns} announced; write it again")
    return rows


def view_binary_rows(data: memoryview, count: int, fields: Mapping[str, np.dtype], where: str) -> dict[str, np.ndarray]:
    """View rows that lie one after the other, without gaps.

    Args:
        data: begins with the first row.
        count: rows that the header announces.
        fields: type of each field by name, in the order of the file; a type may have a shape.
        where: file and part of it, for errors.

    Returns:
        A view (count, ...) of each field.

    Raises:
        UserError: if there are fewer bytes.
    """
    row = np.dtype([(name, kind) for name, kind in fields.items()])
    needed = count * row.itemsize
    if len(data) < needed:
        raise make_cut_error(where, f"{needed} bytes ({count} rows of {row.itemsize})", f"{len(data)} bytes")
    rows = np.frombuffer(data[:needed], row)
    return {name: rows[name] for name in fields}


def check_padding(rest: memoryview | bytes, where: str) -> None:
    """Raise `UserError` if anything but zeros or blanks follows the last row: the header then announces too little."""
    surplus = bytes(rest).translate(_PADDING).strip(b"\0")
    if surplus:
        raise UserError(
            f"{where}: {len(rest)} bytes behind the rows that the header announces, which does not fit; "
            "write the file again"
        )


def make_cut_error(where: str, needed: str, there: str) -> UserError:
    """Make the error of a file that ends too early.

    Args:
        where: file and part of it.
        needed: what the header announces, such as `40 rows`.
        there: what the file holds instead.
    """
    return UserError(f"{where}: cut off or damaged: {needed} announced, {there} there; write or fetch it again")
