"""Imports a user's own frames, one .npz file each, into a store."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pcdet_poly.array_files import load_npz
from pcdet_poly.checks.findings import list_errors
from pcdet_poly.checks.frame import find_frame_faults
from pcdet_poly.checks.timestamps import convert_to_us
from pcdet_poly.data.convert.build_store import ConversionSummary, OnError, ReportError, build_store
from pcdet_poly.data.convert.formats.class_names import DROPPED, ClassNames
from pcdet_poly.data.convert.formats.import_options import ImportOptions
from pcdet_poly.data.store.arrow_points import Precision
from pcdet_poly.data.store.source_fingerprint import Source, describe_source, natural_sort_key
from pcdet_poly.errors import UserError
from pcdet_poly.foreign_files import is_foreign, print_skipped
from pcdet_poly.ops.arrays.points_in_boxes import count_points
from pcdet_poly.paths import AnyPath
from pcdet_poly.structures import POINT_COLUMNS, Frame, GroundTruth
from pcdet_poly.workers import Advance

INTERVAL_US = 100_000  # time between frames that have no timestamp of their own
_COLUMNS = POINT_COLUMNS[:5]  # x y z intensity elongation; the number of the return and of the LiDAR are not known


def import_npz(
    folder: str | Path,
    output: str | Path,
    *,
    class_map: Mapping[str, str] | None = None,
    options: ImportOptions | None = None,
    precision: Precision = "compact",
    on_error: OnError = "stop",
    workers: int = 1,
    replace: bool = False,
    allowed: Collection[str] = (),
) -> ConversionSummary:
    """Import `folder`, and each of its folders that holds .npz files, as one segment each.

    Args:
        folder: holds .npz files, or folders with .npz files.
        output: folder of the store, made if missing.
        class_map: names of classes in the files -> names in WAYMO_CLASSES; short for `options` with no more than this.
        options: how names and times in the files are to be understood.
        precision: how points are stored, see store/arrow_points.py.
        on_error: stop at a file that cannot be read, or leave it out and name it.
        workers: processes.
        replace: put other data of a name that the store has in place of the old.
        allowed: kinds of errors, of `ALLOWABLE` in checks/findings.py, that are meant.

    Returns:
        What was converted, what was there already, and what failed.

    Raises:
        UserError: if there is no .npz file, or one cannot be read.
    """
    options = options or ImportOptions(ClassNames(renamed=dict(class_map or {})))
    return build_store(
        output,
        list_npz_sources([str(folder)]),
        partial(read_npz_folder, options=options),
        settings=options.describe(),
        precision=precision,
        on_error=on_error,
        workers=workers,
        replace=replace,
        allowed=allowed,
    )


def list_npz_sources(inputs: Sequence[str]) -> list[Source]:
    """Describe each folder of `inputs`, and each of its folders, that holds .npz files; each is one segment."""
    found: list[Source] = []
    for folder in map(Path, inputs):
        if not folder.is_dir():
            raise UserError(f"{folder}: no such folder; name one with a .npz file per frame")
        inside = [path for path in sorted(folder.iterdir()) if path.is_dir() and not is_foreign(path, folder)]
        folders = [path for path in [folder, *inside] if list_frame_files(path)]
        if not folders:
            raise UserError(f"{folder}: no .npz file in it; see docs/data_format.md for what one holds")
        for path in folders:
            frames = set(list_frame_files(path))
            print_skipped(path, [file for file in path.iterdir() if file.is_file() and file not in frames])
        found += [describe_source(path.resolve(), list_frame_files(path)) for path in folders]
    return found


def list_frame_files(folder: Path) -> list[Path]:
    """List the frames of a segment in natural order: 2.npz before 10.npz; files that are no data are skipped."""
    files = [file for file in folder.glob("*.npz") if file.is_file() and not is_foreign(file, folder)]
    return sorted(files, key=natural_sort_key)


def read_npz_folder(
    path: AnyPath, advance: Advance, report_error: ReportError, *, options: ImportOptions | None = None
) -> Iterator[Frame]:
    """Yield the frames of a folder of .npz files. Either all or none of them have a time of their own.

    Args:
        path: the folder; its name becomes the segment's.
        advance: called with the number of bytes of each file.
        report_error: called with a `UserError` for each file that cannot be read.
        options: how names and times in the files are to be understood.
    """
    has_time: bool | None = None
    for i, file in enumerate(list_frame_files(Path(str(path)))):
        advance(file.stat().st_size)
        try:
            arrays = load_npz(file)
            has_time = ("timestamp" in arrays) if has_time is None else has_time
            if has_time != ("timestamp" in arrays):
                raise UserError(
                    f"{file}: has {'no timestamp, as others have' if has_time else 'a timestamp, as others have not'}; "
                    "give it to all frames of a folder or to none"
                )
            frame = make_npz_frame(file, arrays, path.name, i * INTERVAL_US, options or ImportOptions())
        except UserError as error:
            report_error(error)
            continue
        yield frame


def make_npz_frame(
    file: Path, values: Mapping[str, np.ndarray], segment: str, timestamp_us: int, options: ImportOptions
) -> Frame:
    """Make one frame.

    Args:
        file: an .npz file as docs/data_format.md describes, named in messages.
        values: its arrays by name.
        segment: name of the segment that the frame belongs to.
        timestamp_us: used if the file has no timestamp.
        options: how names and times in the file are to be understood.

    Raises:
        UserError: if an array is missing or of the wrong shape, type or range, or holds what cannot be meant.
    """
    frame = _build_frame(_NamedArrays(file, values), segment, timestamp_us, options)
    if errors := list_errors(find_frame_faults(frame)):
        raise UserError(f"{file}: {'; '.join(errors)}")
    return frame


def _build_frame(arrays: _NamedArrays, segment: str, timestamp_us: int, options: ImportOptions) -> Frame:
    file = arrays.file
    points = _read_points(arrays)
    box = arrays.get("boxes", (None, 7), np.float32)
    if not np.isfinite(box).all() or (box[:, 3:6] <= 0).any():
        raise UserError(f"{file}: boxes: a size that is not positive, or a number that is not finite; mend or drop it")
    speed = np.full((len(box), 2), np.nan, np.float32)
    labels = options.names.find_labels(arrays.get("names", (len(box),), np.str_).tolist(), str(file))
    objects = GroundTruth(
        box=box,
        label=labels,
        level=np.zeros(len(box), np.int64),
        num_points=arrays.get("num_points", (len(box),), np.int64, default=lambda: count_points(points, box)),
        track=arrays.get("track", (len(box),), np.str_, default=lambda: np.full(len(box), "")),
        speed=arrays.get("speed", (len(box), 2), np.float32, default=lambda: speed),
    )
    return Frame(
        points=points,
        ground_truth=objects[labels != DROPPED],
        world_from_vehicle=arrays.get("pose", (4, 4), np.float64, default=lambda: np.eye(4)),
        timestamp_us=_read_time(arrays, options) if "timestamp" in arrays.values else timestamp_us,
        segment=segment,
        columns=_COLUMNS,
        class_names=options.names.classes,
    )


def _read_time(arrays: _NamedArrays, options: ImportOptions) -> int:
    try:
        return convert_to_us(arrays.values["timestamp"], options.timestamp_unit)
    except UserError as error:
        raise UserError(f"{arrays.file}: {error}") from None


@dataclass(frozen=True)
class _NamedArrays:
    """The arrays of one file by name, with a check of shape and type on access."""

    file: Path
    values: Mapping[str, np.ndarray]

    def get(
        self, name: str, shape: tuple[int | None, ...], dtype: Any, *, default: Callable[[], np.ndarray] | None = None
    ) -> np.ndarray:
        """Get an array.

        Args:
            name: of the array in the file.
            shape: lengths that the array must have; None allows any.
            dtype: type to convert to; text is not converted to numbers.
            default: makes the array if the file does not have it; without one it is required.

        Raises:
            UserError: if the array is required and missing, or its shape or type is wrong.
        """
        if name not in self.values:
            if default is None:
                raise UserError(f"{self.file}: no array '{name}'; it has {', '.join(self.values) or 'none'}")
            return default()
        value = self.values[name]
        fits = value.ndim == len(shape) and all(n in (None, m) for n, m in zip(shape, value.shape, strict=True))
        if not fits or (value.dtype.kind in "US") > (np.dtype(dtype).kind in "US"):
            raise UserError(
                f"{self.file}: {name} is {value.dtype} {value.shape}; {_describe_array(shape, dtype)} needed"
            )
        if np.dtype(dtype).kind == "i" and value.dtype.kind == "f" and not bool((value == np.rint(value)).all()):
            raise UserError(f"{self.file}: {name} is {value.dtype} with fractions; whole numbers needed")
        return value.astype(dtype)


def _describe_array(shape: tuple[int | None, ...], dtype: Any) -> str:
    lengths = ", ".join("N" if n is None else str(n) for n in shape)
    return f"{np.dtype(dtype).name if dtype is not np.str_ else 'text'} ({lengths})"


def _read_points(arrays: _NamedArrays) -> np.ndarray:
    """Get the points (P, 5) float32; columns that are missing at the end are 0."""
    given = arrays.get("points", (None, None), np.float32)
    if not 3 <= given.shape[1] <= len(_COLUMNS):
        raise UserError(f"{arrays.file}: points has {given.shape[1]} columns; 3 to 5 needed: {', '.join(_COLUMNS)}")
    if not np.isfinite(given).all():
        row = int(np.argmin(np.isfinite(given).all(axis=1)))
        raise UserError(f"{arrays.file}: point {row} is not finite: {given[row].tolist()}; leave such points out")
    points = np.zeros((len(given), len(_COLUMNS)), np.float32)
    points[:, : given.shape[1]] = given
    return points
