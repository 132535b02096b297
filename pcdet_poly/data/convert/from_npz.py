"""Anyone's own frames, one .npz each -> store."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pcdet_poly.data.convert.build_store import ConversionSummary, ReportError, build_store
from pcdet_poly.data.store.arrow_points import Precision
from pcdet_poly.data.store.source_fingerprint import natural_sort_key, describe_source
from pcdet_poly.errors import UserError
from pcdet_poly.ops.cpu.points_in_boxes import count_points
from pcdet_poly.paths import Place
from pcdet_poly.structures import POINT_COLUMNS, WAYMO_CLASSES, Frame, GroundTruth
from pcdet_poly.workers import Advance

INTERVAL_US = 100_000  # between frames that bring no timestamp
_COLUMNS = POINT_COLUMNS[:5]  # x y z intensity elongation; nothing is made up about returns and LiDARs


def import_npz(
    folder: str | Path,
    output: str | Path,
    *,
    class_map: Mapping[str, str] | None = None,
    precision: Precision = "compact",
    workers: int = 1,
) -> ConversionSummary:
    """Import `folder`, and each of its folders that holds .npz files, as one segment each."""
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; name one with a .npz file per frame")
    folders = [path for path in [folder, *sorted(folder.iterdir())] if path.is_dir() and list_frame_files(path)]
    if not folders:
        raise UserError(f"{folder}: no .npz file in it; see docs/data_format.md for what one holds")
    return build_store(
        output,
        [describe_source(path.resolve(), list_frame_files(path)) for path in folders],
        partial(read_npz_folder, class_map=dict(class_map or {})),
        settings={"classes": " ".join(f"{name}={to}" for name, to in sorted((class_map or {}).items()))},
        precision=precision,
        workers=workers,
    )


def list_frame_files(folder: Path) -> list[Path]:
    """The frames of a segment in natural order: 2.npz before 10.npz."""
    return sorted(folder.glob("*.npz"), key=natural_sort_key)


def read_npz_folder(path: Place, advance: Advance, report: ReportError, *, class_map: Mapping[str, str]) -> Iterator[Frame]:
    """The frames of a folder of .npz files."""
    for i, file in enumerate(list_frame_files(Path(str(path)))):
        advance(file.stat().st_size)
        try:
            frame = read_npz_frame(file, segment=path.name, timestamp_us=i * INTERVAL_US, class_map=class_map)
        except UserError as error:
            report(error)
            continue
        yield frame


def read_npz_frame(file: Path, *, segment: str, timestamp_us: int, class_map: Mapping[str, str]) -> Frame:
    """One frame; `timestamp_us` is used where the file has none."""
    arrays = _NamedArrays(file, load_arrays(file))
    points = _read_points(arrays)
    box = arrays.get("boxes", (None, 7), np.float32)
    if not np.isfinite(box).all() or (box[:, 3:6] <= 0).any():
        raise UserError(f"{file}: boxes: a size that is not positive, or a number that is not finite; mend or drop it")
    speed = np.full((len(box), 2), np.nan, np.float32)
    return Frame(
        points=points,
        ground_truth=GroundTruth(
            box=box,
            label=_read_labels(arrays, len(box), class_map),
            level=np.zeros(len(box), np.int64),
            num_points=arrays.get("num_points", (len(box),), np.int64, default=lambda: count_points(points, box)),
            track=arrays.get("track", (len(box),), np.str_, default=lambda: np.full(len(box), "")),
            speed=arrays.get("speed", (len(box), 2), np.float32, default=lambda: speed),
        ),
        world_from_vehicle=arrays.get("pose", (4, 4), np.float64, default=lambda: np.eye(4)),
        timestamp_us=int(arrays.get("timestamp", (), np.int64, default=lambda: np.array(timestamp_us))),
        segment=segment,
        columns=_COLUMNS,
    )


@dataclass(frozen=True)
class _NamedArrays:
    """The arrays of one file, taken out by name, shape and type."""

    file: Path
    values: Mapping[str, np.ndarray]

    def get(
        self, name: str, shape: tuple[int | None, ...], dtype: Any, *, default: Callable[[], np.ndarray] | None = None
    ) -> np.ndarray:
        """Array `name` as `dtype`, lengths checked where `shape` gives one."""
        if name not in self.values:
            if default is None:
                raise UserError(f"{self.file}: no array '{name}'; it has {', '.join(self.values) or 'none'}")
            return default()
        value = self.values[name]
        fits = value.ndim == len(shape) and all(n in (None, m) for n, m in zip(shape, value.shape, strict=True))
        if not fits or (value.dtype.kind in "US") > (np.dtype(dtype).kind in "US"):
            raise UserError(f"{self.file}: {name} is {value.dtype} {value.shape}; {_describe_array(shape, dtype)} needed")
        return value.astype(dtype)


def _describe_array(shape: tuple[int | None, ...], dtype: Any) -> str:
    lengths = ", ".join("N" if n is None else str(n) for n in shape)
    return f"{np.dtype(dtype).name if dtype is not np.str_ else 'text'} ({lengths})"


def load_arrays(file: Path) -> dict[str, np.ndarray]:
    """The arrays of an .npz file by name."""
    try:
        with np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{file}: not a readable .npz file ({error}); write it again with numpy.savez") from error


def _read_points(arrays: _NamedArrays) -> np.ndarray:
    """(P, 5) float32, columns that are missing at the end filled with 0."""
    given = arrays.get("points", (None, None), np.float32)
    if not 3 <= given.shape[1] <= len(_COLUMNS):
        raise UserError(f"{arrays.file}: points has {given.shape[1]} columns; 3 to 5 needed: {', '.join(_COLUMNS)}")
    if not np.isfinite(given).all():
        row = int(np.argmin(np.isfinite(given).all(axis=1)))
        raise UserError(f"{arrays.file}: point {row} is not finite: {given[row].tolist()}; leave such points out")
    points = np.zeros((len(given), len(_COLUMNS)), np.float32)
    points[:, : given.shape[1]] = given
    return points


def _read_labels(arrays: _NamedArrays, num_boxes: int, class_map: Mapping[str, str]) -> np.ndarray:
    """(N,) int64 positions in WAYMO_CLASSES."""
    names = [class_map.get(name, name) for name in arrays.get("names", (num_boxes,), np.str_).tolist()]
    for name in names:
        if name not in WAYMO_CLASSES:
            raise UserError(
                f"{arrays.file}: class '{name}' is not known; the classes are {', '.join(WAYMO_CLASSES)}: "
                f"translate it with --map '{name}={WAYMO_CLASSES[0]}' (or the class it is)"
            )
    return np.array([WAYMO_CLASSES.index(name) for name in names], np.int64)
