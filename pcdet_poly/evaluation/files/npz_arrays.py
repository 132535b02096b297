"""An .npz -> its arrays, read without trust: damage is one line, and no memory is asked for that the file cannot fill.

`numpy.load` believes an array's header before it looks at the bytes, reads what a checksum may refuse only
afterwards, and raises whatever the damage leads to. Here each member is read whole first, which checks its CRC, and
its header must describe exactly the bytes that follow.
"""

from __future__ import annotations

import lzma
import struct
import tokenize
import zipfile
import zlib
from io import BytesIO
from math import prod
from pathlib import Path

import numpy as np

from pcdet_poly.array_files import check_num_members
from pcdet_poly.errors import UserError
from pcdet_poly.limits import explain_limit, find_limit, refuse_device

MAX_BYTES = find_limit("EVALUATION")  # of all arrays, uncompressed
_DAMAGE = (
    ValueError,
    OSError,
    EOFError,
    KeyError,
    RuntimeError,  # an encrypted member, a compression method that is not there
    SyntaxError,
    OverflowError,
    MemoryError,
    struct.error,
    tokenize.TokenError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
)


def read_npz(path: str | Path) -> dict[str, np.ndarray]:
    """Return the arrays of an .npz by name. Raises UserError where the file is none, or is damaged."""
    refuse_device(path)
    with open(path, "rb") as file:  # a missing file is no damage
        try:
            with zipfile.ZipFile(file) as archive:
                members = archive.infolist()
                check_num_members(file, len(members))
                if (size := sum(member.file_size for member in members)) > MAX_BYTES:
                    limit = explain_limit("EVALUATION", MAX_BYTES)
                    raise UserError(f"{path}: its arrays take {size} bytes, {limit}, or evaluate it in parts")
                return {_read_name(member): _parse_npy(archive.read(member)) for member in members}
        except UserError:
            raise
        except _DAMAGE as error:
            reason = " ".join(str(error).split())[:120] or type(error).__name__
            raise UserError(f"{path}: not an .npz of arrays, or damaged ({reason}); write or copy it again") from None


def _read_name(member: zipfile.ZipInfo) -> str:
    return member.filename.removesuffix(".npy")


def _parse_npy(data: bytes) -> np.ndarray:
    """Return the array of an .npy file's bytes, which its header must describe to the last one."""
    file = BytesIO(data)
    read_header = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(np.lib.format.read_magic(file))
    if read_header is None:
        raise ValueError("an array in a version that is not known")
    shape, in_fortran_order, dtype = read_header(file)
    if dtype.hasobject:
        raise ValueError("an array of Python objects")
    if prod(shape) * dtype.itemsize != len(data) - file.tell() or dtype.itemsize == 0:
        raise ValueError(f"an array of {shape} {dtype} in {len(data) - file.tell()} bytes")
    flat = np.frombuffer(data, dtype, offset=file.tell())
    return flat.reshape(shape, order="F" if in_fortran_order else "C")
