"""Reads the small v2 components whole: poses, calibrations, labels, context."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence, Sized
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pcdet_poly.errors import UserError
from pcdet_poly.paths import AnyPath
from pcdet_poly.structures import WAYMO_CLASSES, GroundTruth, LidarCalibration
from pcdet_poly.waymo.v2.component_file import ComponentFile, component_path, get_required_column, may_lack_labels
from pcdet_poly.waymo.v2.schema import (
    BOX,
    CONTEXT,
    EXTRINSIC,
    INCLINATION,
    LABEL,
    LASER,
    OBJECT,
    SEGMENT,
    STATS,
    TIMESTAMP,
    WORLD_FROM_VEHICLE,
)

_TYPE, _NUM_POINTS, _LEVEL = (
    f"{LABEL}.{name}" for name in ("type", "num_lidar_points_in_box", "difficulty_level.detection")
)
_SPEED = (f"{LABEL}.speed.x", f"{LABEL}.speed.y")


def read_poses(folder: str | AnyPath, segment: str) -> dict[int, np.ndarray]:
    """Read world_from_vehicle (4, 4) float64 by timestamp."""
    path, rows = _read_rows(folder, "vehicle_pose", segment, [TIMESTAMP, WORLD_FROM_VEHICLE])
    poses = {row[TIMESTAMP]: _read_matrix(row, WORLD_FROM_VEHICLE) for row in rows}
    _check_distinct(rows, poses, "timestamps", path)
    return poses


def read_calibrations(folder: str | AnyPath, segment: str) -> dict[int, LidarCalibration]:
    """Read the calibration of each LiDAR."""
    inclination = [f"{INCLINATION}.{name}" for name in ("values", "min", "max")]
    path, rows = _read_rows(
        folder, "lidar_calibration", segment, [LASER, EXTRINSIC, *inclination], optional=inclination[:1]
    )
    values, low, high = inclination
    calibrations = {
        row[LASER]: LidarCalibration(
            lidar=row[LASER],
            vehicle_from_lidar=_read_matrix(row, EXTRINSIC),
            beam_inclination_rad=np.array(row[values] or [], np.float64),
            beam_inclination_min_rad=row[low],
            beam_inclination_max_rad=row[high],
        )
        for row in rows
    }
    _check_distinct(rows, calibrations, "LiDARs", path)
    return calibrations


def read_contexts(folder: str | AnyPath, segment: str) -> dict[int, dict[str, str]]:
    """Read time of day, location and weather by timestamp, as far as they are known."""
    columns = {name: f"{STATS}.{name}" for name in CONTEXT}
    _, rows = _read_rows(folder, "stats", segment, [TIMESTAMP, *columns.values()], optional=columns.values())
    return {row[TIMESTAMP]: {name: row[column] for name, column in columns.items() if row[column]} for row in rows}


def read_labels(folder: str | AnyPath, segment: str) -> Callable[[int], GroundTruth]:
    """Read the labels; return a function that gives those of a timestamp, in the order of the file."""
    if may_lack_labels(folder) and not component_path(folder, "lidar_box", segment).is_file():
        return lambda timestamp_us: GroundTruth.empty()
    columns = [SEGMENT, TIMESTAMP, OBJECT, *BOX, _TYPE, _NUM_POINTS, *_SPEED, _LEVEL]
    source = ComponentFile.open(folder, "lidar_box", segment, columns)
    table = source.read_table(columns)
    table = table.filter(pc.is_in(table[_TYPE], pa.array(range(1, len(WAYMO_CLASSES) + 1), pa.int8())))
    timestamps = get_required_column(table, TIMESTAMP, source.path)
    table = table.take(np.argsort(timestamps, kind="stable")).combine_chunks()
    timestamps = np.sort(timestamps)

    def get_labels(timestamp_us: int) -> GroundTruth:
        first, end = np.searchsorted(timestamps, [timestamp_us, timestamp_us + 1])
        return _make_ground_truth(table.slice(first, end - first), source.path)

    return get_labels


def _make_ground_truth(rows: pa.Table, path: AnyPath) -> GroundTruth:
    """Make ground truth of rows: Waymo's type is 1 + the position in WAYMO_CLASSES; no level is 0, no speed NaN."""
    return GroundTruth(
        box=np.stack([get_required_column(rows, name, path) for name in BOX], axis=1).astype(np.float32),
        label=get_required_column(rows, _TYPE, path).astype(np.int64) - 1,
        level=pc.fill_null(rows[_LEVEL], 0).to_numpy().astype(np.int64),
        num_points=pc.fill_null(rows[_NUM_POINTS], 0).to_numpy(),
        track=get_required_column(rows, OBJECT, path).astype(np.str_),
        speed=np.stack([rows[name].to_numpy() for name in _SPEED], axis=1).astype(np.float32),
    )


def _read_rows(
    folder: str | AnyPath, component: str, segment: str, columns: Sequence[str], *, optional: Collection[str] = ()
) -> tuple[AnyPath, list[dict[str, Any]]]:
    """Read all rows; only the `optional` columns may be empty in some."""
    source = ComponentFile.open(folder, component, segment, [SEGMENT, *columns])
    rows = source.read_table([SEGMENT, *columns]).to_pylist()
    for name in set(columns) - set(optional):
        if any(row[name] is None for row in rows):
            raise UserError(f"{source.path}: column {name} is empty in some row; fetch it again")
    return source.path, rows


def _read_matrix(row: dict[str, Any], name: str) -> np.ndarray:
    return np.array(row[name], np.float64).reshape(4, 4)


def _check_distinct(rows: Sequence[object], by_key: Sized, keys: str, path: AnyPath) -> None:
    if len(by_key) != len(rows):
        raise UserError(f"{path}: {len(rows)} rows with {len(by_key)} {keys}; fetch it again")
