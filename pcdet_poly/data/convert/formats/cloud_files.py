"""Clouds of known data sets -> points in the vehicle frame: right columns, intensities to scale, ground at z = 0."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pcdet_poly.array_files import load_npy
from pcdet_poly.errors import UserError
from pcdet_poly.limits import refuse_device
from pcdet_poly.names.shown_names import escape_for_terminal

KITTI_HEIGHT_M = 1.73  # of KITTI's LiDAR above the ground
ARGOVERSE_HEIGHT_M = 0.33  # of Argoverse 2's vehicle frame, the rear axle, above the ground
NUSCENES_MOUNT_M = (0.94, 0.0, 1.84)  # of nuScenes' LiDAR in the vehicle frame, on every one of its cars
_BYTE = 255.0  # intensities that are bytes become 0 to 1
_BELOW_ONE = np.float32(1 - 2**-24)  # largest float32 below 1: arctanh of 1 is infinite
_NO_ZONE = -1  # OpenPCDet's flag of points outside of no-label zones


@dataclass(frozen=True)
class CloudFormat:
    """How one data set writes its clouds."""

    endings: tuple[str, ...]
    read: Callable[[Path], np.ndarray]  # -> (P, 5) float32 x, y, z, intensity, elongation in the vehicle frame
    description: str


def read_kitti_cloud(path: Path) -> np.ndarray:
    """Read x, y, z, reflectance 0 to 1; the LiDAR is KITTI_HEIGHT_M above the ground."""
    return _fill(_read_rows(path, 4), raise_m=KITTI_HEIGHT_M)


def read_nuscenes_lidar(path: Path) -> np.ndarray:
    """Read x (right), y (forward), z, intensity 0 to 255, ring -> (P, 5) float32 in the LiDAR's frame, ring dropped."""
    rows = _read_rows(path, 5)
    rings = rows[:, 4]
    if len(rings) and not bool(((rings >= 0) & (rings < 256) & (rings == np.rint(rings))).all()):
        raise UserError(f"{path}: its fifth column holds no ring numbers, so it is not nuScenes'; name its own format")
    return _fill(_scale_bytes(rows[:, :4], path))


def read_nuscenes_cloud(path: Path) -> np.ndarray:
    """Read a nuScenes cloud and turn it from the LiDAR's frame, y forward, into the vehicle's, x forward."""
    points = read_nuscenes_lidar(path)
    x, y = points[:, 0].copy(), points[:, 1].copy()
    points[:, 0], points[:, 1] = y, -x
    points[:, :3] += np.array(NUSCENES_MOUNT_M, np.float32)
    return points


def read_openpcdet_cloud(path: Path) -> np.ndarray:
    """Read OpenPCDet's own data: (P, 4) x, y, z, intensity 0 to 1, in the frame that it asks for, which is ours."""
    return _fill(_read_npy(path, (4,)))


def read_waymo_npy(path: Path) -> np.ndarray:
    """Read what OpenPCDet makes of Waymo: (P, 5 or 6) x, y, z, raw intensity, elongation, flag of no-label zones.

    Points in no-label zones are left out, as OpenPCDet does.
    """
    rows = _read_npy(path, (5, 6))
    if rows.shape[1] == 6:
        rows = rows[rows[:, 5] == _NO_ZONE]
    if len(rows) > 100 and float(rows[:, 3].max()) <= 1:
        raise UserError(
            f"{path}: no intensity is above 1, where raw ones reach 100,000: tanh was applied; say --format waymo-tanh"
        )
    return _fill(rows[:, :5])


def read_waymo_tanh(path: Path) -> np.ndarray:
    """Read (P, 5) x, y, z, tanh(intensity), elongation, .npy or .bin, and give back the raw intensity."""
    points = _fill(_read_rows(path, 5) if path.suffix.lower() == ".bin" else _read_npy(path, (5,)))
    intensity = points[:, 3]
    if len(points) and not bool((np.abs(intensity) <= 1).all()):
        raise UserError(f"{path}: an intensity of {np.abs(intensity).max():g}, no tanh; name it --format waymo-npy")
    points[:, 3] = np.arctanh(np.clip(intensity, -_BELOW_ONE, _BELOW_ONE))
    return points


def read_argoverse_cloud(path: Path) -> np.ndarray:
    """Read an Argoverse 2 sweep: x, y, z, intensity 0 to 255 of both LiDARs, in the frame of the rear axle."""
    columns = read_feather(path, ("x", "y", "z", "intensity"))
    rows = np.column_stack([columns[name] for name in ("x", "y", "z", "intensity")]).astype(np.float32)
    return _fill(_scale_bytes(rows, path), raise_m=ARGOVERSE_HEIGHT_M)


def read_feather(path: Path, names: tuple[str, ...], texts: tuple[str, ...] = ()) -> dict[str, np.ndarray]:
    """Read columns of an Arrow file by name.

    Args:
        path: the file.
        names: of columns of numbers.
        texts: of columns of text.

    Raises:
        UserError: where the file is damaged, or a column is missing, has an empty row, or is of the other kind.
    """
    import pyarrow as pa
    import pyarrow.feather as feather

    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        table = feather.read_table(path, memory_map=False, use_threads=False)
        table.validate(full=True)
        found = table.column_names
    except (pa.ArrowException, MemoryError, OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path}: not a readable Feather file ({str(error).splitlines()[0]}); fetch it again"
        ) from error
    columns = {}
    for name in (*names, *texts):
        if name not in found:
            raise UserError(f"{path}: no column {name}; it has {escape_for_terminal(', '.join(found)) or 'none'}")
        if empty := table[name].null_count:
            raise UserError(f"{path}: {empty} of {len(table)} rows have no {name}; fetch it again")
        columns[name] = table[name].to_numpy()
        if len(table) and (columns[name].dtype.kind in "iuf") != (name in names):
            raise UserError(f"{path}: {name} is {table[name].type}; {'numbers' if name in names else 'text'} needed")
    return columns


CLOUD_FORMATS = {
    "kitti": CloudFormat((".bin",), read_kitti_cloud, "4 float32: x, y, z, reflectance 0 to 1"),
    "nuscenes": CloudFormat((".bin",), read_nuscenes_cloud, "5 float32: x right, y forward, z, 0 to 255, ring"),
    "openpcdet": CloudFormat((".npy",), read_openpcdet_cloud, "(P, 4) x, y, z, intensity 0 to 1"),
    "waymo-npy": CloudFormat((".npy",), read_waymo_npy, "OpenPCDet's Waymo, (P, 5 or 6), raw intensity"),
    "waymo-tanh": CloudFormat((".npy", ".bin"), read_waymo_tanh, "(P, 5), the intensity's tanh"),
    "argoverse2": CloudFormat((".feather",), read_argoverse_cloud, "sweeps with named columns"),
}


def read_named_cloud(path: Path, name: str) -> np.ndarray:
    """Read a cloud of the format `name` -> (P, 5) float32 in the vehicle frame, without broken points checked."""
    known = CLOUD_FORMATS[name]
    if path.suffix.lower() not in known.endings:
        raise UserError(f"{path}: {name} clouds end in {' or '.join(known.endings)}; name another --format")
    return known.read(path)


def _read_rows(path: Path, num_columns: int) -> np.ndarray:
    """Read rows of float32."""
    refuse_device(path)
    num_bytes = path.stat().st_size
    if num_bytes % (4 * num_columns):
        raise UserError(
            f"{path}: {num_bytes} bytes are not rows of {num_columns} float32; {suggest_formats(num_bytes)}"
        )
    return np.fromfile(path, np.float32).reshape(-1, num_columns)


def suggest_formats(num_bytes: int) -> str:
    """Say which format a .bin file of so many bytes may have."""
    fitting = [
        name for name, count in (("kitti", 4), ("nuscenes", 5), ("waymo-tanh", 5)) if num_bytes % (4 * count) == 0
    ]
    if not fitting:
        return (
            "it may be cut off, or of a format with other columns: convert it to .npy (P, 4) and say --format openpcdet"
        )
    return f"name its format: {' or '.join(f'--format {name}' for name in fitting)}"


def _read_npy(path: Path, num_columns: tuple[int, ...]) -> np.ndarray:
    values = load_npy(path)
    if values.ndim != 2 or values.shape[1] not in num_columns or values.dtype.kind not in "fiu":
        counts = " or ".join(map(str, num_columns))
        raise UserError(f"{path}: points are {values.dtype} {values.shape}; numbers (P, {counts}) needed")
    return values.astype(np.float32)


def _scale_bytes(rows: np.ndarray, path: Path) -> np.ndarray:
    """Divide intensities, the fourth column, by 255."""
    if len(rows) and not bool(((rows[:, 3] >= 0) & (rows[:, 3] <= _BYTE)).all()):
        raise UserError(f"{path}: intensities are from 0 to 255 in this format; it has {rows[:, 3].max():g}")
    scaled = rows.copy()
    scaled[:, 3] /= _BYTE
    return scaled


def _fill(rows: np.ndarray, raise_m: float = 0.0) -> np.ndarray:
    """Put rows (P, 4 or 5) into points (P, 5), whose missing column is 0, and raise them."""
    points = np.zeros((len(rows), 5), np.float32)
    points[:, : rows.shape[1]] = rows
    points[:, 2] += np.float32(raise_m)
    return points
