"""Reads and writes TFRecord files: sequences of byte strings, each with checksums."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from typing import IO

import google_crc32c

from pcdet_poly.errors import UserError
from pcdet_poly.files import atomic_path
from pcdet_poly.paths import AnyPath, get_num_bytes, parse_path
from pcdet_poly.stage_timer import time_stage

# A record on disk: uint64 length, masked CRC-32C of those 8 bytes, payload, masked CRC-32C of the
# payload; little-endian.
_LENGTH = struct.Struct("<Q")
_CHECKSUM = struct.Struct("<I")
_HEADER_BYTES = _LENGTH.size + _CHECKSUM.size


class DamagedRecordError(UserError):
    """The payload of a record has a wrong checksum; the records after it can still be read."""


def read_records(path: str | AnyPath) -> Iterator[bytes]:
    """Yield the payloads of a TFRecord file, one in memory at a time, every checksum verified.

    Raises:
        UserError: if the file is missing or empty, or at the first record that is cut or damaged, with the
            path, the record's number (from 0) and its byte offset.
    """
    for _, record in read_numbered_records(path):
        yield record


def read_numbered_records(
    path: str | AnyPath, *, on_damage: Callable[[DamagedRecordError], None] | None = None
) -> Iterator[tuple[int, bytes]]:
    """Yield the records of a TFRecord file with their numbers, from 0.

    Args:
        path: the file; a URL is allowed.
        on_damage: called at a payload with a wrong checksum; the record is skipped if it returns. None
            raises the error.

    Raises:
        UserError: as `read_records` says.
    """
    path = parse_path(path)
    if not path.is_file():
        raise UserError(f"{path}: {'a folder' if path.is_dir() else 'no such file'}; name a .tfrecord file")
    with path.open("rb") as file:
        size = get_num_bytes(path)
        if size == 0:
            raise UserError(f"{path}: the file is empty (0 bytes); fetch or make it again")
        number = 0
        while (offset := file.tell()) < size:
            try:
                with time_stage("read"):
                    record = _read_record(file, size - offset, f"{path}: record {number} at byte {offset}")
            except DamagedRecordError as error:
                if on_damage is None:
                    raise
                on_damage(error)
            else:
                yield number, record
            number += 1


def write_records(path: str | AnyPath, records: Iterable[bytes]) -> int:
    """Write `records` as a TFRecord file, whole or not at all; return their number."""
    number = 0
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        for record in records:
            length = _LENGTH.pack(len(record))
            file.write(length + _CHECKSUM.pack(masked_crc32c(length)))
            file.write(record)
            file.write(_CHECKSUM.pack(masked_crc32c(record)))
            number += 1
    return number


def masked_crc32c(data: bytes) -> int:
    """CRC-32C of `data` as TFRecords store it: rotated right by 15 bits, plus a constant."""
    crc = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _read_record(file: IO[bytes], remaining: int, where: str) -> bytes:
    if remaining < _HEADER_BYTES:
        raise _make_cut_error(where, _HEADER_BYTES, remaining)
    length_bytes, (length_crc,) = file.read(_LENGTH.size), _CHECKSUM.unpack(file.read(_CHECKSUM.size))
    if masked_crc32c(length_bytes) != length_crc:
        raise UserError(
            f"{where}: wrong checksum of the record's length: not a TFRecord file, or damaged; fetch it again"
        )
    (length,) = _LENGTH.unpack(length_bytes)
    needed = _HEADER_BYTES + length + _CHECKSUM.size
    if remaining < needed:
        raise _make_cut_error(where, needed, remaining)
    payload = file.read(length)
    (payload_crc,) = _CHECKSUM.unpack(file.read(_CHECKSUM.size))
    if masked_crc32c(payload) != payload_crc:
        raise DamagedRecordError(
            f"{where}: wrong checksum (CRC-32C) of its {length} bytes: damaged; fetch the file again"
        )
    return payload


def _make_cut_error(where: str, needed: int, remaining: int) -> UserError:
    return UserError(f"{where}: the file is cut off: {needed} bytes needed, {remaining} left; fetch it again")
