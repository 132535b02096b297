"""Writes one small cloud in each of the formats that other tools have."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np

_POINTS = np.random.default_rng(0).uniform(-50, 50, (40, 4)).astype(np.float32)
_PCD = "VERSION 0.7\nFIELDS x y z intensity\nSIZE 4 4 4 4\nTYPE F F F F\nCOUNT 1 1 1 1\nWIDTH 40\nHEIGHT 1\nPOINTS 40\n"
_PLY = "\nelement vertex 40\n" + "".join(f"property float {n}\n" for n in ("x", "y", "z", "intensity")) + "end_header\n"
_TEXT = "".join(" ".join(f"{value:.3f}" for value in row) + "\n" for row in _POINTS)


def _compress(data: bytes) -> bytes:
    """LZF without a match: runs of at most 32 bytes as they are."""
    return b"".join(bytes([len(data[i : i + 32]) - 1]) + data[i : i + 32] for i in range(0, len(data), 32))


def _make_compressed_pcd() -> bytes:
    columns = _POINTS.T.tobytes()
    packed = _compress(columns)
    return f"{_PCD}DATA binary_compressed\n".encode() + struct.pack("<II", len(packed), len(columns)) + packed


def _write(name: str, data: Callable[[], bytes]) -> Callable[[Path], list[Path]]:
    def make(folder: Path) -> list[Path]:
        (folder / name).write_bytes(data())
        return [folder / name]

    return make


def _save(name: str, save: Callable[[Path], None]) -> Callable[[Path], list[Path]]:
    def make(folder: Path) -> list[Path]:
        save(folder / name)
        return [folder / name]

    return make


MAKERS: dict[str, Callable[[Path], list[Path]]] = {
    "npz": _save("a.npz", lambda path: np.savez(path, points=_POINTS)),
    "npy": _save("a.npy", lambda path: np.save(path, _POINTS)),
    "bin": _write("a.bin", _POINTS.tobytes),
    "ply text": _write("a.ply", lambda: f"ply\nformat ascii 1.0{_PLY}{_TEXT}".encode()),
    "ply binary": _write("a.ply", lambda: f"ply\nformat binary_little_endian 1.0{_PLY}".encode() + _POINTS.tobytes()),
    "pcd text": _write("a.pcd", lambda: f"{_PCD}DATA ascii\n{_TEXT}".encode()),
    "pcd binary": _write("a.pcd", lambda: f"{_PCD}DATA binary\n".encode() + _POINTS.tobytes()),
    "pcd compressed": _write("a.pcd", _make_compressed_pcd),
}
