"""Builds an object bank from frame stores in one pass."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from glob import escape
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from pcdet_poly.data.bank.bank_file import (
    FEATURES,
    BankHeader,
    BankObject,
    encode_objects,
    make_schema,
    view_columns,
)
from pcdet_poly.data.bank.object_bank import ObjectBank
from pcdet_poly.data.store.frame_store import Store, read_checked_directory
from pcdet_poly.data.store.manifest import SegmentEntry
from pcdet_poly.data.store.segment_file import read_frame
from pcdet_poly.errors import UserError
from pcdet_poly.files import atomic_path
from pcdet_poly.locks import lock_file
from pcdet_poly.ops.arrays.points_in_boxes import count_points, first_box
from pcdet_poly.paths import AnyPath
from pcdet_poly.structures import Frame
from pcdet_poly.workers import Advance, run_jobs

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class _SegmentJob:
    """One segment whose objects are collected."""

    folder: AnyPath  # of the store
    entry: SegmentEntry
    number: int  # position among the segments of all stores
    first: int  # position of its first frame among the frames of all stores


def build_object_bank(
    stores: Sequence[str | Path], output: str | Path, *, every: int = 1, workers: int = 1
) -> ObjectBank:
    """Write every labelled object that has a point in it into a bank.

    Each process holds the objects of one segment in memory. The file is the same whatever the number of
    workers, and appears whole or not at all; until then, the disk also holds its parts.

    Args:
        stores: folders of frame stores with the same classes.
        output: file to write.
        every: take every `every`-th frame of the stores' concatenated list of frames.
        workers: processes.

    Returns:
        The bank, opened.

    Raises:
        UserError: if there are no frames, the classes differ, a frame cannot be read, or another process writes
            the same bank.
    """
    output = Path(output)
    opened = [Store(folder) for folder in stores]
    parts = list(_list_segments(opened))
    if not parts:
        raise UserError(f"{', '.join(map(str, stores))}: no frames in it; convert some data first")
    header = BankHeader(
        class_names=_get_class_names(opened),
        features=_find_common_features(opened),
        segments=tuple(part.entry.segment for part in parts),
        every=every,
        num_frames=sum(map(len, opened)),
    )
    with (
        lock_file(output, work="build-bank"),
        _make_parts_folder(output) as folder,
    ):
        write = partial(_write_part_file, header=header, folder=folder)
        total = -(-header.num_frames // every)
        for _ in run_jobs(write, parts, workers=workers, title="collecting objects", total=total):
            pass
        _join_part_files([_part_file_path(folder, part) for part in parts], output, header)
    return ObjectBank(output)


def cut_objects(frame: Frame, *, position: int, segment: int, features: Sequence[str]) -> list[BankObject]:
    """Cut the labelled objects that hold a point out of a frame.

    Args:
        frame: with points and labels.
        position: of the frame in the list of all frames of the stores.
        segment: position of its segment in the list of all segments.
        features: columns of the points to keep besides x, y, z.
    """
    columns = [frame.columns.index(name) for name in ("x", "y", "z", *features)]
    labels = frame.ground_truth
    vehicle_from_world = np.linalg.inv(frame.world_from_vehicle)[:2, :2]
    return [
        BankObject(
            points=frame.points[rows][:, columns],
            box=labels.box[i],
            label=int(labels.label[i]),
            level=int(labels.level[i]),
            velocity=(vehicle_from_world @ labels.speed[i].astype(np.float64)).astype(np.float32),
            frame=position,
            segment=segment,
            timestamp_us=int(frame.timestamp_us),
        )
        for i, rows in enumerate(find_points_in_boxes(frame.points, labels.box))
        if len(rows)
    ]


def find_points_in_boxes(points: np.ndarray, box: np.ndarray) -> list[np.ndarray]:
    """Find for each of the boxes (N, 7) the positions of the points (P, 3+) in it; a point may lie in several."""
    first = first_box(points, box)
    inside = np.flatnonzero(first >= 0)
    inside = inside[np.argsort(first[inside], kind="stable")]
    bounds = np.searchsorted(first[inside], np.arange(len(box) + 1))
    rows = [inside[start:end] for start, end in pairwise(bounds)]
    for i in np.flatnonzero(count_points(points, box) != np.diff(bounds)):  # this box shares points with an earlier one
        rows[i] = np.flatnonzero(first_box(points, box[i : i + 1]) == 0)
    return rows


def _list_segments(stores: Sequence[Store]) -> Iterator[_SegmentJob]:
    number = first = 0
    for store in stores:
        for entry in store.manifest.segments:
            yield _SegmentJob(store.folder, entry, number, first)
            number, first = number + 1, first + entry.num_frames


def _get_class_names(stores: Sequence[Store]) -> tuple[str, ...]:
    """Get the classes that all stores have; raise `UserError` if they differ."""
    first = stores[0].class_names
    for store in stores:
        if store.class_names != first:
            raise UserError(
                f"{store.folder}: has classes {', '.join(store.class_names)}, {stores[0].folder} {', '.join(first)}; "
                "make a bank for each"
            )
    return first


def _find_common_features(stores: Sequence[Store]) -> tuple[str, ...]:
    """Find the features of points that every store has."""
    columns = [store.read_labels(0).columns for store in stores if len(store)]
    return tuple(name for name in FEATURES if all(name in names for names in columns))


@contextmanager
def _make_parts_folder(output: Path) -> Iterator[Path]:
    """Make a folder for parts beside the bank, which is locked, and remove those that killed processes left."""
    for leftover in output.parent.glob(f".{escape(output.name)}.????????.parts"):
        with suppress(OSError):  # something else lies in it, or it is a link
            for path in () if leftover.is_symlink() else leftover.glob("[0-9]*.arrow"):
                path.unlink()
            leftover.rmdir()
    with TemporaryDirectory(prefix=f".{output.name}.", suffix=".parts", dir=output.parent) as folder:
        yield Path(folder)


def _part_file_path(folder: Path, part: _SegmentJob) -> Path:
    return folder / f"{part.number}.arrow"


def _write_part_file(part: _SegmentJob, advance: Advance, *, header: BankHeader, folder: Path) -> None:
    """Write the objects of one segment as a file of one batch."""
    import pyarrow as pa

    directory = read_checked_directory(part.folder, part.entry)
    objects: list[BankObject] = []
    for i in range(-part.first % header.every, part.entry.num_frames, header.every):
        frame = read_frame(directory, i)
        objects += cut_objects(frame, position=part.first + i, segment=part.number, features=header.features)
        advance(1)
    path = _part_file_path(folder, part)
    try:
        with pa.OSFile(os.fsencode(path), "wb") as file, pa.ipc.new_file(file, make_schema(header)) as writer:
            writer.write_batch(encode_objects(objects, header))
    except OSError as error:
        error.filename = error.filename or str(path)  # pyarrow does not say which
        raise


def _join_part_files(files: Sequence[Path], output: Path, header: BankHeader) -> None:
    """Write the batches of all files into one, and remove each file as soon as it is copied."""
    import pyarrow as pa

    filled = [path for path in files if _map_batch(path).num_rows]
    schema = make_schema(header, [view_columns(_map_batch(path)) for path in filled])
    with (
        atomic_path(output) as temporary,
        pa.OSFile(os.fsencode(temporary), "wb") as file,
        pa.ipc.new_file(file, schema) as writer,
    ):
        for path in filled:
            writer.write_batch(_map_batch(path))
            path.unlink()


def _map_batch(path: Path) -> pa.RecordBatch:
    """Map the one batch of a file into memory."""
    import pyarrow as pa

    return pa.ipc.open_file(pa.memory_map(os.fsencode(path))).get_batch(0)
