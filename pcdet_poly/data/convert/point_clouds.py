"""Point cloud files of other tools -> points as a frame has them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pcdet_poly.data.convert.from_npz import load_arrays, read_npz_frame
from pcdet_poly.errors import UserError
from pcdet_poly.optional_libraries import load_open3d
from pcdet_poly.structures import POINT_COLUMNS, Frame, GroundTruth

COLUMNS = POINT_COLUMNS[:5]  # x y z intensity elongation
FORMATS = (".npz", ".npy", ".bin", ".pcd", ".ply")
# What files call the returned power; the first that a file has is taken.
_INTENSITY_NAMES = ("intensity", "intensities", "reflectance", "i", "scalar_intensity", "scalar_Intensity")


def read_cloud(path: str | Path, *, bin_columns: int = 4) -> Frame:
    """One cloud as a frame without labels (an .npz may bring its own); columns that a file lacks are 0.

    .npz: as `data_tools/import_frames.py` takes them; .npy: (P, 3 to 5); .bin: float32 rows of `bin_columns`
    numbers, 4 as in KITTI; .pcd and .ply: x y z and, where there is one, an intensity. Points with a
    coordinate that is not finite are left out. Metres, x forward, y left, z up, ground near z = 0.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file; name point clouds in {', '.join(FORMATS)}")
    match path.suffix.lower():
        case ".npz":
            return _read_npz_cloud(path)
        case ".npy":
            values = _read_npy(path)
        case ".bin":
            values = _read_bin(path, bin_columns)
        case ".pcd" | ".ply":
            values = _read_pcd_or_ply(path)
        case other:
            raise UserError(f"{path}: cannot read {other or 'a file without ending'}; use {', '.join(FORMATS)}")
    points = np.zeros((len(values), len(COLUMNS)), np.float32)
    points[:, : values.shape[1]] = values
    return _make_frame(points[np.isfinite(points).all(axis=1)], path)


def _make_frame(points: np.ndarray, path: Path) -> Frame:
    return Frame(points, GroundTruth.empty(), np.eye(4), timestamp_us=0, segment=path.stem, columns=COLUMNS)


def _read_npz_cloud(path: Path) -> Frame:
    arrays = load_arrays(path)
    if "points" in arrays and "boxes" not in arrays:
        points = _pad_columns(arrays["points"], path)
        return _make_frame(points[np.isfinite(points).all(axis=1)], path)
    return read_npz_frame(path, segment=path.stem, timestamp_us=0, class_map={})


def _read_npy(path: Path) -> np.ndarray:
    try:
        return _pad_columns(np.load(path, allow_pickle=False), path)
    except (ValueError, EOFError) as error:
        raise UserError(f"{path}: not a readable .npy file ({error}); write it again with numpy.save") from None


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


def _read_pcd_or_ply(path: Path) -> np.ndarray:
    """x y z intensity of a .pcd or .ply file."""
    library = load_open3d()
    with library.utility.VerbosityContextManager(library.utility.VerbosityLevel.Error):
        cloud = library.t.io.read_point_cloud(str(path))
    if "positions" not in cloud.point or not len(cloud.point.positions):
        raise UserError(f"{path}: no points in it, or not a readable {path.suffix} file")
    values = np.zeros((len(cloud.point.positions), 4), np.float32)
    values[:, :3] = cloud.point.positions.numpy()
    named = next((name for name in _INTENSITY_NAMES if name in cloud.point), None)
    if named is not None:
        values[:, 3] = cloud.point[named].numpy().reshape(len(values), -1)[:, 0]
    return values
