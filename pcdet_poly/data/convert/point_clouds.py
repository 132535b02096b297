"""Reads point cloud files of other tools as frames."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pcdet_poly.array_files import load_npy, load_npz
from pcdet_poly.checks.points import drop_broken_points
from pcdet_poly.data.convert.formats.cloud_files import read_named_cloud, suggest_formats
from pcdet_poly.data.convert.pcd_file import read_pcd
from pcdet_poly.data.convert.ply_file import read_ply
from pcdet_poly.errors import UserError
from pcdet_poly.structures import POINT_COLUMNS, Frame, GroundTruth

COLUMNS = POINT_COLUMNS[:5]  # x y z intensity elongation
FORMATS = (".npz", ".npy", ".bin", ".pcd", ".ply")
_BIN_COLUMNS = 4  # of a .bin file of which nothing is said: KITTI's
_FEW_NUMBERS = 100  # that tell nothing of columns
# Names of the returned power in files, in lower case; the first that a file has is read.
_INTENSITY_NAMES = ("intensity", "intensities", "reflectance", "i", "scalar_intensity")


def read_cloud(path: str | Path, *, bin_columns: int | None = None, format: str | None = None) -> Frame:
    """Read one cloud as a frame without labels (an .npz may have its own); columns that a file lacks are 0.

    .npz: as `pcdet-poly import-frames` reads them; .npy: (P, 3 to 5); .bin: float32 rows of `bin_columns`
    numbers; .pcd and .ply: x y z and, if there is one, an intensity. Points with a number that is not finite are
    left out. Metres, x forward, y left, z up, ground near z = 0.

    Args:
        path: the file.
        bin_columns: numbers per point of a .bin file: x, y, z, intensity, elongation and others that are left out. None
            stands for 4, and refuses a file that shows itself as one of 5.
        format: one of CLOUD_FORMATS, which then says columns, scales and axes; None goes by the file's ending.

    Raises:
        UserError: if the file is missing, of another format, cut off or damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file; name point clouds in {', '.join(FORMATS)}")
    if format:
        return _make_frame(read_named_cloud(path, format), path)
    match path.suffix.lower():
        case ".npz":
            return _read_npz_cloud(path)
        case ".npy":
            values = _pad_columns(load_npy(path), path)
        case ".bin":
            values = _read_bin(path, bin_columns)
        case ".pcd":
            values = _read_named_columns(read_pcd(path), path)
        case ".ply":
            values = _read_named_columns(read_ply(path), path)
        case other:
            raise UserError(f"{path}: cannot read {other or 'a file without ending'}; use {', '.join(FORMATS)}")
    points = np.zeros((len(values), len(COLUMNS)), np.float32)
    points[:, : values.shape[1]] = values
    return _make_frame(points, path)


def _make_frame(points: np.ndarray, path: Path) -> Frame:
    whole = drop_broken_points(points)
    if len(whole) < len(points):
        warnings.warn(f"{path}: {len(points) - len(whole)} points are not finite and were left out", stacklevel=3)
    return Frame(whole, GroundTruth.empty(), np.eye(4), timestamp_us=0, segment=path.stem, columns=COLUMNS)


def _read_npz_cloud(path: Path) -> Frame:
    arrays = load_npz(path)
    if "points" in arrays and "boxes" not in arrays:
        return _make_frame(_pad_columns(arrays["points"], path), path)
    from pcdet_poly.data.convert.formats.import_options import ImportOptions  # with labels, which take kernels
    from pcdet_poly.data.convert.from_npz import make_npz_frame

    return make_npz_frame(path, arrays, path.stem, 0, ImportOptions())


def _pad_columns(values: np.ndarray, path: Path) -> np.ndarray:
    if values.ndim != 2 or not 3 <= values.shape[1] <= len(COLUMNS) or values.dtype.kind not in "fiu":
        raise UserError(
            f"{path}: points are {values.dtype} {values.shape}; numbers (P, 3 to 5) needed: {', '.join(COLUMNS)}; if "
            "it is of a known data set, name that with --format"
        )
    points = np.zeros((len(values), len(COLUMNS)), np.float32)
    points[:, : values.shape[1]] = values
    return points


def _read_bin(path: Path, columns: int | None) -> np.ndarray:
    num_bytes = path.stat().st_size
    if num_bytes % (4 * (columns or _BIN_COLUMNS)):
        raise UserError(
            f"{path}: {num_bytes} bytes are not rows of {columns or _BIN_COLUMNS} float32; {suggest_formats(num_bytes)}"
        )
    numbers = np.fromfile(path, np.float32)
    if columns in (None, len(COLUMNS)) and _has_ring_numbers(numbers):
        raise UserError(
            f"{path}: every fifth number is a whole one from 0 to 255, as ring numbers are: nuScenes? say "
            "--format nuscenes"
        )
    return numbers.reshape(-1, columns or _BIN_COLUMNS)[:, : len(COLUMNS)]


def _has_ring_numbers(numbers: np.ndarray) -> bool:
    """Whether float32 numbers look like rows of five that end in the number of a LiDAR's ring."""
    if len(numbers) % len(COLUMNS) or len(numbers) < _FEW_NUMBERS:
        return False
    fifth = numbers[len(COLUMNS) - 1 :: len(COLUMNS)]
    with np.errstate(invalid="ignore"):
        whole = (fifth >= 0) & (fifth < 256) & (fifth == np.rint(fifth))
    return bool(whole.all()) and bool(fifth.max() >= 4)


def _read_named_columns(columns: Mapping[str, np.ndarray], path: Path) -> np.ndarray:
    """Put x, y, z and intensity of a .pcd or .ply file, whose columns (P,) have names, side by side."""
    by_lower_case: dict[str, np.ndarray] = {}
    for name, values in columns.items():
        by_lower_case.setdefault(name.lower(), values)
    if missing := [name for name in "xyz" if name not in by_lower_case]:
        raise UserError(
            f"{path}: no {missing[0]} in it, only {', '.join(by_lower_case) or 'nothing'}; x, y and z needed"
        )
    points = np.zeros((len(by_lower_case["x"]), 4), np.float32)
    if not len(points):
        raise UserError(f"{path}: no points in it")
    intensity = next((name for name in _INTENSITY_NAMES if name in by_lower_case), None)
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is left out later
        for i, source in enumerate(("x", "y", "z", intensity)):
            if source:
                points[:, i] = by_lower_case[source]
    return points
