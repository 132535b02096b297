"""Makes rows of the v2 components from a Scan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from pcdet_poly.structures import GroundTruth, LidarCalibration
from pcdet_poly.waymo.scan import LidarScan, Scan
from pcdet_poly.waymo.v2.schema import (
    BOX,
    CONTEXT,
    EXTRINSIC,
    INCLINATION,
    LABEL,
    LASER,
    OBJECT,
    PIXEL_POSE,
    RETURNS,
    SCHEMAS,
    SEGMENT,
    STATS,
    TIMESTAMP,
    WORLD_FROM_VEHICLE,
)

Row = dict[str, Any]  # values by column; a column that is left out is empty


def make_image_tables(scan: Scan) -> dict[str, pa.Table]:
    """Make the tables of the components with range images: a row per LiDAR that has any, by component."""
    with_images = [lidar for lidar in scan.lidars if lidar.returns]
    with_pose = [lidar for lidar in with_images if lidar.pixel_pose is not None]
    first, second = RETURNS
    return {
        "lidar": _make_image_table(
            "lidar",
            scan,
            with_images,
            {
                first: [lidar.returns[0] for lidar in with_images],
                second: [lidar.returns[1] if len(lidar.returns) > 1 else None for lidar in with_images],
            },
        ),
        "lidar_pose": _make_image_table(
            "lidar_pose", scan, with_pose, {PIXEL_POSE: [lidar.pixel_pose for lidar in with_pose]}
        ),
    }


def make_small_rows(scan: Scan) -> dict[str, list[Row]]:
    """Make the frame's rows of the components without images, by component."""
    frame: Row = {SEGMENT: scan.segment, TIMESTAMP: scan.timestamp_us}
    return {
        "lidar_calibration": [
            {SEGMENT: scan.segment} | _make_calibration_row(lidar.calibration) for lidar in scan.lidars
        ],
        "lidar_box": [frame | label for label in _make_label_rows(scan.ground_truth)],
        "stats": [frame | {f"{STATS}.{name}": scan.context.get(name, "") for name in CONTEXT}],
        "vehicle_pose": [frame | {WORLD_FROM_VEHICLE: scan.world_from_vehicle.ravel().tolist()}],
    }


def _make_image_table(
    component: str, scan: Scan, lidars: Sequence[LidarScan], images: dict[str, list[np.ndarray | None]]
) -> pa.Table:
    columns: dict[str, list[Any]] = {
        SEGMENT: [scan.segment] * len(lidars),
        TIMESTAMP: [scan.timestamp_us] * len(lidars),
        LASER: [lidar.calibration.lidar for lidar in lidars],
    }
    for name, arrays in images.items():
        columns[f"{name}.values"] = [None if array is None else array.ravel() for array in arrays]
        columns[f"{name}.shape"] = [None if array is None else array.shape for array in arrays]
    return pa.table(columns, schema=SCHEMAS[component])


def _make_calibration_row(calibration: LidarCalibration) -> Row:
    return {
        LASER: calibration.lidar,
        EXTRINSIC: calibration.vehicle_from_lidar.ravel().tolist(),
        f"{INCLINATION}.min": calibration.beam_inclination_min_rad,
        f"{INCLINATION}.max": calibration.beam_inclination_max_rad,
        f"{INCLINATION}.values": calibration.beam_inclination_rad.tolist() or None,
    }


def _make_label_rows(ground_truth: GroundTruth) -> list[Row]:
    columns = ground_truth.columns()
    return [_make_label_row(*row) for row in zip(*(column.tolist() for column in columns.values()), strict=True)]


def _make_label_row(box: list[float], label: int, level: int, num_points: int, track: str, speed: list[float]) -> Row:
    row: Row = {
        OBJECT: track,
        f"{LABEL}.type": label + 1,
        f"{LABEL}.num_lidar_points_in_box": num_points,
        f"{LABEL}.num_top_lidar_points_in_box": 0,
    }
    row |= zip(BOX, box, strict=True)
    if level:
        row |= {f"{LABEL}.difficulty_level.detection": level, f"{LABEL}.difficulty_level.tracking": 0}
    if not np.isnan(speed).any():
        row |= {f"{LABEL}.speed.{axis}": value for axis, value in zip("xyz", [*speed, 0.0], strict=True)}
    return row
