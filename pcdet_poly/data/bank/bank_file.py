"""Encodes objects with their points as rows of an Arrow file, the object bank, whose format docs/data_format.md tells.

A row is one labelled object of one frame. Its points are whole steps of 1/256 m from the centre of its
box, which is itself rounded to such a step: points from a `compact` store are kept bit for bit, others are
at most 1/512 m off. The features of points are float16. Every row carries a CRC-32 of all its other columns, and
the schema the number of rows of every batch with a CRC-32 of the columns by which rows are chosen.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from pcdet_poly.data.store.arrow_points import STEPS_PER_M
from pcdet_poly.errors import UserError

try:
    from deflate import crc32
except ImportError:  # no wheel for this machine
    from zlib import crc32  # type: ignore[assignment]

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT = "pcdet_poly objects"
VERSION = 1
FEATURES = ("intensity", "elongation", "return_number")  # columns of points that are kept if the frame has them
MAX_OFFSET_M = 32767 / STEPS_PER_M
_LARGEST_HALF = np.float32(65504)  # larger intensities may be cut: their tanh is 1, as that of 65,504 is
# Columns of numbers, in the order in which the checksum takes them, and how many numbers each has.
_SCALARS: dict[str, type[np.generic]] = {
    "label": np.int8,  # position in class_names
    "level": np.int8,  # difficulty as annotated: 1, 2, or 0 if nobody annotated it
    "num_points": np.int32,
    "frame": np.int32,  # position in the list of all frames of the stores, one after the other
    "segment": np.int32,  # position in segments
    "timestamp_us": np.int64,
}
_CHOOSING = ("label", "level", "num_points", "frame")  # columns that are read of all rows, without their checksums
_VECTORS = {"box": 7, "velocity": 2}  # float32; velocity m/s along the vehicle's x and y, NaN where unknown


@dataclass(frozen=True)
class BankHeader:
    """What all rows have in common; stored as JSON in the file's schema."""

    class_names: tuple[str, ...]
    features: tuple[str, ...]  # of each point besides x, y, z
    segments: tuple[str, ...]
    every: int  # objects were taken from every n-th frame only
    num_frames: int  # frames of the stores, including those that were not used

    def encode_metadata(self) -> dict[str, str]:
        """Encode as the metadata of an Arrow schema, with a checksum."""
        text = json.dumps({"format": FORMAT, "version": VERSION, **asdict(self)})
        return {"pcdet_poly": text, "crc32": str(crc32(text.encode()))}


def read_header(metadata: dict[bytes, bytes] | None, path: str) -> BankHeader:
    """Decode what `BankHeader.encode_metadata` wrote; `path` is for errors.

    Raises:
        UserError: if the metadata is not a bank's, is damaged, or is of another version.
    """
    text = (metadata or {}).get(b"pcdet_poly", b"")
    if (metadata or {}).get(b"crc32") != str(crc32(text)).encode():
        raise UserError(f"{path}: not an object bank, or damaged; make one with pcdet-poly build-bank")
    value: dict[str, Any] = json.loads(text)
    if (value.pop("format"), version := value.pop("version")) != (FORMAT, VERSION):
        raise UserError(f"{path}: format version {version}, this program reads {VERSION}; build the bank again")
    fields: dict[str, Any] = {name: tuple(item) if isinstance(item, list) else item for name, item in value.items()}
    return BankHeader(**fields)


def make_schema(header: BankHeader, batches: Sequence[BankColumns] | None = None) -> pa.Schema:
    """Make the Arrow schema of a bank; where its batches are known, with a checksum of what rows are chosen by."""
    import pyarrow as pa

    metadata = header.encode_metadata() | ({} if batches is None else _encode_batch_checksums(batches))

    numbers = [(name, pa.from_numpy_dtype(kind)) for name, kind in _SCALARS.items()]
    vectors = [(name, pa.list_(pa.float32(), size)) for name, size in _VECTORS.items()]
    xyz = ("xyz", pa.list_(pa.list_(pa.int16(), 3)))
    features = ("features", pa.list_(pa.list_(pa.float16(), len(header.features))))
    return pa.schema([*numbers, *vectors, xyz, features, ("crc32", pa.uint32())], metadata=metadata)


@dataclass(frozen=True)
class BankObject:
    """One object, in the vehicle frame at the time it was recorded."""

    points: np.ndarray  # (P, 3 + F) float32: x, y, z in metres, then the bank's features
    box: np.ndarray  # (7,) float32
    label: int  # position in the bank's class_names
    level: int
    velocity: np.ndarray  # (2,) float32 m/s along the vehicle's x and y, NaN where unknown
    frame: int  # position in the list of all frames of the stores
    segment: int  # position in the bank's segments
    timestamp_us: int


@dataclass(frozen=True)
class BankColumns:
    """The columns of N rows with P points in all, as arrays. The points of row i are start[i] to start[i + 1]."""

    label: np.ndarray  # (N,) int8
    level: np.ndarray  # (N,) int8
    num_points: np.ndarray  # (N,) int32
    frame: np.ndarray  # (N,) int32
    segment: np.ndarray  # (N,) int32
    timestamp_us: np.ndarray  # (N,) int64
    box: np.ndarray  # (N, 7) float32
    velocity: np.ndarray  # (N, 2) float32
    start: np.ndarray  # (N + 1,) int32
    xyz: np.ndarray  # (P, 3) int16, steps from the rounded centre of the box
    features: np.ndarray  # (P, F) float16
    crc32: np.ndarray  # (N,) uint32


def check_batches(metadata: dict[bytes, bytes] | None, batches: Sequence[BankColumns]) -> None:
    """Check that all rows are there, and the columns by which they are chosen; older banks say nothing of them.

    Args:
        metadata: of the file's schema.
        batches: all rows of the file.

    Raises:
        ValueError: if they are others than were written.
    """
    found, written = _encode_batch_checksums(batches), metadata or {}
    names = [name.encode() for name in found]
    if all(name in written for name in names) and any(written[name.encode()] != found[name].encode() for name in found):
        raise ValueError("rows are missing, or a column by which they are chosen is damaged")


def _encode_batch_checksums(batches: Sequence[BankColumns]) -> dict[str, str]:
    """Encode the number of rows and the checksum of each batch as metadata of a schema, with a checksum of all."""
    text = json.dumps([[len(columns.label), _compute_choice_checksum(columns)] for columns in batches])
    return {"batches": text, "batches_crc32": str(crc32(text.encode()))}


def _compute_choice_checksum(columns: BankColumns) -> int:
    checksum = 0
    for name in _CHOOSING:
        checksum = crc32(np.ascontiguousarray(getattr(columns, name)), checksum)
    return checksum


def encode_objects(objects: Sequence[BankObject], header: BankHeader) -> pa.RecordBatch:
    """Encode objects as one batch of rows; raise `UserError` if a point is too far from its box."""
    import pyarrow as pa

    rows: dict[str, np.ndarray] = {
        name: np.array([len(o.points) if name == "num_points" else getattr(o, name) for o in objects], kind)
        for name, kind in _SCALARS.items()
    }
    for name, size in _VECTORS.items():
        rows[name] = np.array([getattr(o, name) for o in objects], np.float32).reshape(-1, size)
    bounds = np.cumsum([0, *(len(o.points) for o in objects)], dtype=np.int32)
    xyz = np.concatenate([np.zeros((0, 3), np.int16), *(_encode_xyz(o, header) for o in objects)])
    features = np.zeros((len(xyz), len(header.features)), np.float16)
    for (start, end), o in zip(pairwise(bounds), objects, strict=True):
        features[start:end] = np.clip(o.points[:, 3:], -_LARGEST_HALF, _LARGEST_HALF)
    views = BankColumns(**rows, start=bounds, xyz=xyz, features=features, crc32=np.zeros(0, np.uint32))
    checksum = np.array([compute_row_checksum(views, i) for i in range(len(objects))], np.uint32)
    columns = [pa.array(rows[name]) for name in _SCALARS]
    columns += [pa.FixedSizeListArray.from_arrays(rows[name].ravel(), size) for name, size in _VECTORS.items()]
    columns += [
        pa.ListArray.from_arrays(bounds, pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1]))
        for values in (xyz, features)
    ]
    return pa.RecordBatch.from_arrays([*columns, pa.array(checksum)], schema=make_schema(header))


def view_columns(batch: pa.RecordBatch) -> BankColumns:
    """View the columns of a batch as numpy arrays that share its memory."""
    views = {name: batch.column(name).to_numpy() for name in (*_SCALARS, "crc32")}
    for name, size in _VECTORS.items():
        views[name] = batch.column(name).values.to_numpy().reshape(-1, size)
    for name in ("xyz", "features"):
        vectors = batch.column(name).values
        views[name] = vectors.values.to_numpy().reshape(-1, vectors.type.list_size)
    return BankColumns(**views, start=batch.column("xyz").offsets.to_numpy())


def decode_object(columns: BankColumns, row: int) -> BankObject:
    """Decode row `row`; raise `ValueError` if its checksum is wrong."""
    if compute_row_checksum(columns, row) != columns.crc32[row]:
        raise ValueError("wrong checksum")
    start, end = columns.start[row : row + 2]
    xyz, features = columns.xyz[start:end], columns.features[start:end]
    points = np.empty((len(xyz), 3 + features.shape[1]), np.float32)
    box = columns.box[row].copy()
    points[:, :3] = (xyz + _round_centre(box)) / np.float32(STEPS_PER_M)
    points[:, 3:] = features
    scalars: dict[str, Any] = {name: int(getattr(columns, name)[row]) for name in _SCALARS if name != "num_points"}
    return BankObject(points=points, box=box, velocity=columns.velocity[row].copy(), **scalars)


def compute_row_checksum(columns: BankColumns, row: int) -> int:
    """Compute the CRC-32 of a row's numbers, in the order of the columns, and of its points."""
    start, end = columns.start[row : row + 2]
    checksum = 0
    for name in (*_SCALARS, *_VECTORS):
        checksum = crc32(getattr(columns, name)[row : row + 1].tobytes(), checksum)
    checksum = crc32(columns.xyz[start:end].tobytes(), checksum)
    return crc32(columns.features[start:end].tobytes(), checksum)


def _round_centre(box: np.ndarray) -> np.ndarray:
    """Round the centre of a box (7,) to whole steps (3,) int32, from which the steps of its points count."""
    return np.rint(box[:3] * np.float32(STEPS_PER_M)).astype(np.int32)


def _encode_xyz(o: BankObject, header: BankHeader) -> np.ndarray:
    """Encode the positions of an object's points as steps (P, 3) int16 from its centre."""
    steps = np.rint(o.points[:, :3] * np.float32(STEPS_PER_M)).astype(np.int32) - _round_centre(o.box)
    if np.abs(steps).max(initial=0) > 32767:
        raise UserError(
            f"frame {header.segments[o.segment]}/{o.timestamp_us}: a point lies more than {MAX_OFFSET_M:.0f} m from "
            "the centre of the labelled box it is in; mend that label"
        )
    return steps.astype(np.int16)
