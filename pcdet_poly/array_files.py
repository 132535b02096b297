"""Reads numpy's files, whose headers are checked against the bytes there before memory is asked for, and checks ZIP."""

from __future__ import annotations

import errno
import io
import math
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tokenize import TokenError
from typing import IO

import numpy as np

from pcdet_poly.errors import UserError
from pcdet_poly.limits import explain_limit, find_limit, refuse_device

MAX_NPZ_BYTES = find_limit("NPZ")  # that an .npz may hold decompressed
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
_CHUNK_BYTES = 1 << 20
_FOLDER = 0x10  # attribute of MS-DOS
_LONGEST_END = 22 + 65_535  # bytes of an archive's last record, with the longest comment
_END = b"PK\x05\x06"  # that record's first bytes
# What numpy and zipfile raise at damage; RuntimeError if an entry is encrypted.
_DAMAGE = (
    ValueError,
    EOFError,
    LookupError,
    OverflowError,
    MemoryError,
    NotImplementedError,
    RuntimeError,
    SyntaxError,
    TokenError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


def load_npy(path: Path) -> np.ndarray:
    """Read an .npy file without unpickling anything.

    Raises:
        UserError: if the file is damaged or of another format.
    """
    refuse_device(path)
    with _translate_errors(path, "numpy.save"), path.open("rb") as file:
        return _read_array(file, path.stat().st_size)


def load_npz(path: Path) -> dict[str, np.ndarray]:
    """Read the arrays of an .npz file by name, without unpickling anything.

    Raises:
        UserError: if the file is damaged or of another format, or its arrays take more than MAX_NPZ_BYTES.
    """
    refuse_device(path)
    with _translate_errors(path, "numpy.savez"), path.open("rb") as file, zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        check_num_members(file, len(entries))
        num_bytes = sum(entry.file_size for entry in entries)
        if num_bytes > MAX_NPZ_BYTES:
            raise ValueError(f"its arrays take {num_bytes} bytes, {explain_limit('NPZ', MAX_NPZ_BYTES)}")
        # Of other members, too, the name is compared with the one beside the data: a damaged name hides no array.
        contents = {entry.filename: _read_entry(archive, entry) for entry in entries}
        return {name.removesuffix(".npy"): _parse_npy(data) for name, data in contents.items() if name.endswith(".npy")}


def check_num_members(file: IO[bytes], num_members: int) -> None:
    """Raise ValueError where the end of a ZIP archive tells of more or fewer members than its directory names.

    One damaged length in the directory hides the members behind it, and some arrays of a file may be missing.
    """
    file.seek(0, os.SEEK_END)
    file.seek(max(0, file.tell() - _LONGEST_END))
    end = file.read()
    (told,) = struct.unpack_from("<H", end, end.rindex(_END) + 10)
    if told != num_members:
        raise ValueError(f"{num_members} of {told} arrays are named in it")


def find_zip_damage(data: bytes, kind: str) -> str | None:
    """Check the sum that a ZIP archive keeps of each member.

    Args:
        data: bytes of the file.
        kind: what it should be, such as "checkpoint", as `torch.save` writes them.

    Returns:
        What is damaged, in a few words; None where every sum holds.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            check_num_members(io.BytesIO(data), len(entries))
            damaged = [entry for entry in entries if not _has_right_checksum(archive, entry)]
    except (*_DAMAGE, OSError):
        return f"not a {kind}, or a damaged one"
    return f"damaged: the checksum of {ascii(damaged[0].filename)[1:-1]} is wrong" if damaged else None


def _has_right_checksum(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bool:
    """Read a member to its end; unlike `ZipFile.testzip`, of two members of one name each.

    torch reads what is marked as a folder as memory that nobody has written to.
    """
    if entry.external_attr & _FOLDER:
        return False
    try:
        with archive.open(entry) as file:
            while file.read(_CHUNK_BYTES):
                pass
    except zipfile.BadZipFile:
        return False
    return True


@contextmanager
def _translate_errors(path: Path, writer: str) -> Iterator[None]:
    """Turn what numpy and zipfile raise at damage into a `UserError`; errors of the disk stay as they are."""
    try:
        yield
    except (*_DAMAGE, OSError) as error:
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # a damaged archive seeks to negative places
            raise
        reason = str(error).partition("\n")[0]
        raise UserError(
            f"{path}: not a readable {path.suffix} file ({reason}); write it again with {writer}"
        ) from error


def _read_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # others may ask for gigabytes
        raise ValueError(f"{entry.filename} is compressed by method {entry.compress_type}")
    with archive.open(entry) as file:
        data = file.read()  # at most entry.file_size, and its checksum is verified
    if len(data) != entry.file_size:
        raise EOFError(f"{entry.filename} ends after {len(data)} of {entry.file_size} bytes")
    return data


def _parse_npy(data: bytes) -> np.ndarray:
    return _read_array(io.BytesIO(data), len(data))


def _read_array(file: IO[bytes], num_bytes: int) -> np.ndarray:
    """Read an array from the beginning of a file of `num_bytes`; raise `ValueError` if its header claims more."""
    version = np.lib.format.read_magic(file)
    if version not in _HEADERS:
        raise ValueError(f"format version {version}")
    shape, _, dtype = _HEADERS[version](file)
    claimed, there = math.prod(shape) * dtype.itemsize, num_bytes - file.tell()
    if not dtype.hasobject and claimed > there:
        raise ValueError(f"{claimed} bytes announced for shape {shape}, {there} there")
    file.seek(0)
    array: np.ndarray = np.lib.format.read_array(file, allow_pickle=False)
    return array
