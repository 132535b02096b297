"""How much memory a file may claim: each limit has a default, and a variable of the environment that replaces it."""

from __future__ import annotations

import os

from pcdet_poly.errors import UserError

# Name of a limit -> bytes. A file that needs more than any real one does is more likely made to do harm than data.
DEFAULTS = {
    "NPZ": 1 << 30,  # what an .npz of points holds decompressed; as float32 that is 50 million points of 5 numbers
    "EVALUATION": 4 << 30,  # what an .npz or .parquet of detections or labels holds: ten times Waymo's validation set
    "STREAM": 1 << 27,  # a compressed range image or a part of one: thirty times Waymo's largest, 4.1 MB
    "PARQUET_ROW": 1 << 27,  # a row's range images, decompressed: Waymo's take 5.4 MB; of all else: labels take 5 MB
}


def find_limit(name: str) -> int:
    """Return a limit in bytes: its default, or what PCDET_POLY_MAX_<name>_BYTES says. Raises UserError at no number."""
    variable = _name_variable(name)
    text = os.environ.get(variable, "").strip()
    if not text:
        return DEFAULTS[name]
    if not (text.isascii() and text.isdecimal() and len(text) < 19 and int(text)):
        raise UserError(f"{variable}={text}: a number of bytes needed, such as {DEFAULTS[name]}")
    return int(text)


def refuse_device(path: str | os.PathLike[str]) -> None:
    """Raise UserError where a path is a device, a pipe or a socket, which may have no end, or make us wait for ever.

    An archive of a stranger's data set may hold such things, or links to them.
    """
    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        raise UserError(f"{os.fspath(path)}: a device, a pipe or a socket, where a file is needed")


def explain_limit(name: str, num_bytes: int) -> str:
    """Say that no more than `num_bytes`, the limit `name`, are read, and which variable raises that."""
    return f"at most {num_bytes} are read; set {_name_variable(name)} to more if it is meant"


def _name_variable(name: str) -> str:
    return f"PCDET_POLY_MAX_{name}_BYTES"
