"""Reads numpy's .npy and .npz files, whose headers are checked against the bytes there before memory is asked for."""

from __future__ import annotations

import errno
import io
import math
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

MAX_NPZ_BYTES = 1 << 30  # that an .npz may hold decompressed; as float32 that is 50 million points of 5 numbers
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
# What numpy and zipfile raise at damage; RuntimeError if an entry is encrypted.
_DAMAGE = (
    ValueError,
    EOFError,
    OverflowError,
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
    with _translate_errors(path, "numpy.save"), path.open("rb") as file:
        return _read_array(file, path.stat().st_size)


def load_npz(path: Path) -> dict[str, np.ndarray]:
    """Read the arrays of an .npz file by name, without unpickling anything.

    Raises:
        UserError: if the file is damaged or of another format, or its arrays take more than MAX_NPZ_BYTES.
    """
    with _translate_errors(path, "numpy.savez"), zipfile.ZipFile(path) as archive:
        entries = [entry for entry in archive.infolist() if entry.filename.endswith(".npy")]
        num_bytes = sum(entry.file_size for entry in entries)
        if num_bytes > MAX_NPZ_BYTES:
            raise ValueError(f"its arrays take {num_bytes} bytes, at most {MAX_NPZ_BYTES} are read")
        return {entry.filename.removesuffix(".npy"): _read_entry(archive, entry) for entry in entries}


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


def _read_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> np.ndarray:
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # others may ask for gigabytes
        raise ValueError(f"{entry.filename} is compressed by method {entry.compress_type}")
    with archive.open(entry) as file:
        data = file.read()  # at most entry.file_size, and its checksum is verified
    if len(data) != entry.file_size:
        raise EOFError(f"{entry.filename} ends after {len(data)} of {entry.file_size} bytes")
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
