"""Small files that ask for much: headers that claim terabytes, zip bombs, nested messages, endless aliases, devices.

Each is read with MEMORY_BYTES more than the process has; a reader must refuse it in one line, without asking for more.
"""

from __future__ import annotations

import io
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from pcdet_poly.array_files import load_npz
from pcdet_poly.config.load import load_config
from pcdet_poly.data.bank.object_bank import ObjectBank
from pcdet_poly.data.convert.point_clouds import read_cloud
from pcdet_poly.engine.checkpoint import load_checkpoint
from pcdet_poly.engine.run import read_log_file
from pcdet_poly.evaluation import read_detections
from pcdet_poly.evaluation.files.flat_arrays import read_flat_arrays
from pcdet_poly.evaluation.files.waymo_objects import read_prediction_file
from pcdet_poly.experiments.sweep.schema import read_sweep
from pcdet_poly.files import read_checked_json
from pcdet_poly.models.import_checkpoint.foreign_file import read_foreign_weights
from pcdet_poly.waymo import read_frames, write_records
from tests.faults.damage import judge_in_child, judge_reading, name_death
from tests.faults.digests import digest
from tests.faults.outcomes import Outcome

MEMORY_BYTES = 1 << 30
_TERA = 10**12
_PLY = "ply\nformat {} 1.0\nelement vertex {}\nproperty float x\nproperty float y\nproperty float z\nend_header\n"
_PCD = "FIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 {}\nWIDTH {}\nHEIGHT 1\nDATA {}\n"


def _npy(shape: tuple[int, ...], dtype: str = "<f4") -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"shape": shape, "fortran_order": False, "descr": dtype})
    return file.getvalue() + bytes(16)


def _zip(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


def _claim_sizes(data: bytes, size: int) -> bytes:
    """Let the directory of an archive of one member claim another size, decompressed."""
    start = data.index(b"PK\x01\x02") + 24
    return data[:start] + struct.pack("<I", size) + data[start + 4 :]


def _nest(depth: int) -> bytes:
    """A message in field 1 of a message in field 1, and so on."""
    data = b""
    for _ in range(depth):
        length, varint = len(data), b""
        while length > 127:
            varint, length = varint + bytes([length & 127 | 128]), length >> 7
        data = b"\x0a" + varint + bytes([length]) + data
    return data


def _records(*messages: bytes) -> Callable[[Path], None]:
    return lambda path: write_records(path, messages) and None


def _write_parquet_bomb(path: Path) -> None:
    """16 million equal numbers, whose pages are a few kilobytes long."""
    columns = {name: pa.ListArray.from_arrays([0, 1 << 24], pa.array(np.zeros(1 << 24, np.float32)))
               for name in ("box", "score")}  # fmt: skip
    columns |= {"frame_id": pa.array(["a/1"]), "label": pa.array([[0]], pa.list_(pa.int16()))}
    table = pa.table(columns).replace_schema_metadata({"class_names": '["VEHICLE"]'})
    pq.write_table(table, path, compression="zstd")


def _write_arrow_claim(path: Path) -> None:
    """An Arrow file whose buffers are said to be longer than the file."""
    table = pa.table({"label": pa.array(np.zeros(1000, np.int8))})
    with pa.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table)
    path.write_bytes(path.read_bytes().replace(struct.pack("<q", 1000), struct.pack("<q", 1 << 44)))


_Read = Callable[[Path], Any]


# What it is, the file's name, its content (or what writes it), and its reader.
class _Program:
    """An object whose pickle ends the program that reads it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.abort, ()


_READERS: tuple[tuple[str, _Read], ...] = (
    *((f"a.{ending}", read_cloud) for ending in ("npy", "npz", "bin", "ply", "pcd")),
    ("evaluated.npz", read_flat_arrays),
    ("predictions.bin", read_prediction_file),
    ("detections.parquet", read_detections),
    ("step_00000004.pt", load_checkpoint),
    ("theirs.pth", read_foreign_weights),
    ("s.tfrecord", lambda path: list(read_frames(path))),
    ("log.jsonl", read_log_file),
    ("metrics.json", read_checked_json),
)


HOSTILE: list[tuple[str, str, bytes | Callable[[Path], None], _Read]] = [
    ("npy that claims 12 terabytes", "a.npy", _npy((_TERA, 3)), read_cloud),
    ("npy of 10^18 rows of nothing", "a.npy", _npy((10**18, 0)), read_cloud),
    ("npz that claims 12 terabytes", "a.npz", _zip({"points.npy": _npy((_TERA, 3))}), load_npz),
    ("npz that claims 12 terabytes, evaluated", "a.npz", _zip({"pd_box.npy": _npy((_TERA, 7))}), read_flat_arrays),
    ("npz of 2 gigabytes of zeros", "a.npz", lambda p: _write_bomb(p, "points.npy"), load_npz),
    ("npz whose directory claims 4 gigabytes", "a.npz", _claim_sizes(_zip({"points.npy": _npy((2, 3))}), 2**32 - 2),
     load_npz),
    ("npz whose directory claims 2 gigabytes, evaluated", "a.npz",
     _claim_sizes(_zip({"pd_box.npy": _npy((2, 7))}), 2**31), read_flat_arrays),
    ("checkpoint of 2 gigabytes of zeros", "a.pt", lambda p: _write_bomb(p, "archive/data.pkl"), load_checkpoint),
    ("weights of 2 gigabytes of zeros", "a.pth", lambda p: _write_bomb(p, "archive/data.pkl"), read_foreign_weights),
    ("PLY text of 10^12 points", "a.ply", _PLY.format("ascii", _TERA).encode(), read_cloud),
    ("PLY binary of 10^12 points", "a.ply", _PLY.format("binary_little_endian", _TERA).encode(), read_cloud),
    ("PCD text of 10^12 points", "a.pcd", _PCD.format(1, _TERA, "ascii").encode(), read_cloud),
    ("PCD binary of 10^12 points", "a.pcd", _PCD.format(1, _TERA, "binary").encode(), read_cloud),
    ("PCD of 10^17 numbers per point", "a.pcd", _PCD.format(10**17, 1, "binary").encode(), read_cloud),
    ("PCD compressed that claims 4 gigabytes", "a.pcd", _PCD.format(1, 357913941, "binary_compressed").encode()
     + struct.pack("<II", 4, 357913941 * 12 % 2**32) + bytes(4), read_cloud),
    ("record that claims 2^60 bytes", "a.tfrecord", struct.pack("<QI", 1 << 60, 0), lambda p: list(read_frames(p))),
    ("record nested 100,000 deep", "a.tfrecord", _records(_nest(100_000)), lambda p: list(read_frames(p))),
    ("record with a field of 2^62 bytes", "a.tfrecord", _records(b"\x0a" + b"\xff" * 8 + b"\x3f"),
     lambda p: list(read_frames(p))),
    ("Objects nested 100,000 deep", "a.bin", _nest(100_000), read_prediction_file),
    ("Objects with an object of 2^62 bytes", "a.bin", b"\x0a" + b"\xff" * 8 + b"\x3f", read_prediction_file),
    ("Arrow buffers of 16 terabytes", "a.arrow", _write_arrow_claim, ObjectBank),
    ("Parquet of 128 MB in few bytes", "a.parquet", _write_parquet_bomb, read_detections),
    ("YAML of 10^9 aliases", "a.yaml", ("a0: &a0 [1]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n"
     for i in range(1, 10))).encode(), load_config),
    ("YAML 100,000 deep", "a.yaml", b"[" * 100_000, load_config),
    ("YAML with a number of a million digits", "a.yaml", b"train: {epochs: " + b"9" * 10**6 + b"}\n", load_config),
    ("YAML that asks for Python", "a.yaml", b"train: !!python/object/apply:os.system ['true']\n", load_config),
    ("sweep of 10^9 aliases", "a.yaml", ("a0: &a0 [1]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n"
     for i in range(1, 10))).encode(), read_sweep),
    ("weights that run a program", "a.pth", lambda p: torch.save({"model_state": _Program()}, p), read_foreign_weights),
    ("checkpoint that runs a program", "a.pt", lambda p: torch.save({"step": _Program()}, p), load_checkpoint),
    *((f"device without an end as {name}", name, lambda p: p.symlink_to("/dev/zero"), read) for name, read in _READERS),
    *((f"pipe that nobody fills as {name}", name, os.mkfifo, read) for name, read in _READERS),
]  # fmt: skip


@cache
def _compress_zeros(num_megabytes: int) -> tuple[bytes, int]:
    """Deflate zeros; also their CRC-32. All megabytes are compressed to the same bytes."""
    megabyte, packer = bytes(1 << 20), zlib.compressobj(1, zlib.DEFLATED, -15)
    one = packer.compress(megabyte) + packer.flush(zlib.Z_FULL_FLUSH)
    checksum = 0
    for _ in range(num_megabytes):
        checksum = zlib.crc32(megabyte, checksum)
    return one * num_megabytes + packer.flush(), checksum


def _write_bomb(path: Path, name: str) -> None:
    """An archive of some megabytes whose only member is 2 GB of zeros."""
    packed, checksum = _compress_zeros(2048)
    sizes = struct.pack("<III", checksum, len(packed), 1 << 31)
    fields = struct.pack("<HHHH", 0, 8, 0, 33) + sizes + struct.pack("<HH", len(name), 0)
    local = b"PK\x03\x04" + struct.pack("<H", 20) + fields + name.encode() + packed
    central = b"PK\x01\x02" + struct.pack("<HH", 20, 20) + fields + bytes(14) + name.encode()
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), len(local), 0)
    path.write_bytes(local + central + end)


def read_hostile(folder: Path) -> dict[str, tuple[Outcome, str]]:
    """Read every hostile file in a process of its own; what came of it, by its description."""
    found = {}
    for number, (what, name, content, read) in enumerate(HOSTILE):
        path = folder / str(number) / name
        path.parent.mkdir(parents=True)
        if callable(content):
            content(path)
        else:
            path.write_bytes(content)
        reading = judge_in_child([partial(judge_reading, partial(_read, read, path), path.parent, None)], MEMORY_BYTES)
        outcome, said = _take_only(reading)
        can_be_meant = outcome is Outcome.SILENTLY_WRONG and path.suffix == ".bin"  # no checksum, any nesting
        found[what] = (Outcome.OTHER_DATA if can_be_meant else outcome), said
        path.unlink()
    return found


def _read(read: _Read, path: Path) -> str:
    return digest(read(path))


def _take_only(reading: Iterator[tuple[Outcome, str]]) -> tuple[Outcome, str]:
    """Take the one result of a reading process, or how it died."""
    try:
        result = next(reading)
        next(reading)
    except StopIteration as end:
        number, signum = end.value
        return result if number else name_death(signum)
    raise AssertionError("two results of one file")
