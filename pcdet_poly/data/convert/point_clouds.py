"""Reads point cloud files of other tools as frames."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pcdet_poly.array_files import load_npy, load_npz
from pcdet_poly.data.convert.from_npz import read_npz_frame
from pcdet_poly.data.convert.pcd_file import read_pcd
from pcdet_poly.data.convert.ply_file import read_ply
from pcdet_poly.errors import UserError
from pcdet_poly.structures import POINT_COLUMNS, Frame, GroundTruth

COLUMNS = POINT_COLUMNS[:5]  # x y z intensity elongation
FORMATS = (".npz", ".npy", ".bin", ".pcd", ".ply")
# Names of the returned power in files, in lower case; the first that a file has is read.
_INTENSITY_NAMES = ("intensity", "intensities", "reflectance", "i", "scalar_intensity")


def read_cloud(path: str | Path, *, bin_columns: int = 4) -> Frame:
    """Read one cloud as a frame without labels (an .npz may have its own); columns that a file lacks are 0.

    .npz: as `data_tools/import_frames.py` reads them; .npy: (P, 3 to 5); .bin: float32 rows of `bin_columns`
    numbers, 4 as in KITTI; .pcd and .ply: x y z and, if there is one, an intensity. Points with a
    coordinate that is not finite are left out. Metres, x forward, y left, z up, ground near z = 0.

    Raises:
        UserError: if the file is missing, of another format, cut off or damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file; name point clouds in {', '.join(FORMATS)}")
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
    return _make_frame(points[np.isfinite(points).all(axis=1)], path)


def _make_frame(points: np.ndarray, path: Path) -> Frame:
    return Frame(points, GroundTruth.empty(), np.eye(4), timestamp_us=0, segment=path.stem, columns=COLUMNS)


def _read_npz_cloud(path: Path) -> Frame:
    arrays = load_npz(path)
    if "points" in arrays and "boxes" not in arrays:
        points = _pad_columns(arrays["points"], path)
        return _make_frame(points[np.isfinite(points).all(axis=1)], path)
    return read_npz_frame(path, segment=path.stem, timestamp_us=0, class_map={})


def _pad_columns(values: np.ndarray, path: Path) -> np.ndarray:
    if values.ndim != 2 or not 3 <= values.shape[1] <= len(COLUMNS) or values.dtype.kind not in "fiu":
        raise UserError(
            f"{path}: points are {values.dtype} {values.shape}; numbers (P, 3 to 5) needed: {', '.join(COLUMNS)}"
        )
    points = np.zeros((len(values), len(COLUMNS)), np.float32)
    points[:, : values.shape[1]] = values
    return points


def _read_bin(path: Path, columns: int) -> np.ndarray:
    if path.stat().st_size % (4 * columns):
        raise UserError(
            f"{path}: {path.stat().st_size} bytes are not rows of {columns} float32; give --bin-columns (KITTI 4, "
            "nuScenes and OpenPCDet's Waymo files 5)"
        )
    return np.fromfile(path, np.float32).reshape(-1, columns)[:, : len(COLUMNS)]


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
