"""A checksum at the end of an ONNX file, as one more entry of its metadata, which other programs read as such.

ONNX is protobuf, in which an entry may follow at the end. So the checksum needs no library: it is that of all bytes
before it.
"""

from __future__ import annotations

import re
import zlib
from pathlib import Path

from pcdet_poly.errors import UserError

CHECKSUM_KEY = "pcdet_poly_crc32"
_KEY = CHECKSUM_KEY.encode()
_ENTRY = b"\x0a" + bytes([len(_KEY)]) + _KEY + b"\x12\x08"  # StringStringEntryProto: key, then 8 digits of value
_BEGIN = b"\x72" + bytes([len(_ENTRY) + 8]) + _ENTRY  # ModelProto.metadata_props
_END = re.compile(re.escape(_BEGIN) + rb"([0-9a-f]{8})\Z")


def add_checksum(path: Path) -> None:
    """Write the checksum at the end of an ONNX file that has none."""
    digits = f"{zlib.crc32(path.read_bytes()):08x}".encode()
    with path.open("ab") as file:
        file.write(_BEGIN + digits)


def read_with_checksum(path: Path) -> tuple[bytes, bool]:
    """Read an ONNX file.

    Args:
        path: of the file.

    Returns:
        Its bytes, and whether it has a checksum.

    Raises:
        UserError: the file cannot be read, or its checksum is that of other bytes.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    found = _END.search(data, max(len(data) - len(_BEGIN) - 8, 0))
    if found is not None and int(found[1], 16) != zlib.crc32(memoryview(data)[: found.start()]):
        raise UserError(f"{path}: damaged, its checksum is that of other bytes; export the run again")
    return data, found is not None


def read_own_file(path: Path) -> bytes:
    """Read an ONNX file that we wrote. Raises UserError where it is damaged or cut."""
    data, has_checksum = read_with_checksum(path)
    if not has_checksum:
        raise UserError(f"{path}: damaged or cut, its checksum is missing; export the run again")
    return data
