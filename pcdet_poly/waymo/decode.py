"""Decodes a Waymo v1 record to a Scan, and converts that to a Frame; camera data is neither parsed nor copied."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from pcdet_poly.checks.poses import find_pose_fault
from pcdet_poly.errors import UserError
from pcdet_poly.protos import dataset as proto
from pcdet_poly.stage_timer import time_stage
from pcdet_poly.structures import WAYMO_CLASSES, Frame, GroundTruth, LidarCalibration
from pcdet_poly.waymo.laser_messages import decode_lidar_scans
from pcdet_poly.waymo.protobuf_wire import iterate_fields
from pcdet_poly.waymo.range_image import convert_range_images
from pcdet_poly.waymo.scan import Scan, check_returns, get_lidar_name

# Field numbers of Frame.
_PARSED = frozenset({1, 2, 3, 6, 7})  # context, timestamp_micros, pose, laser_labels, no_label_zones
_LASERS = 5
_MANY_LABELS = 3  # that are not all unknown objects


def decode_frame(record: bytes, *, returns: Collection[int] = (1, 2)) -> Frame:
    """Decode a record to a frame with the points of the given LiDAR returns; warn if it has no LiDAR data."""
    scan = decode_scan(record, returns=returns)
    if not scan.has_images:
        warnings.warn("a Waymo record has no LiDAR data: its frame has labels but 0 points", stacklevel=2)
    return convert_scan(scan, returns=returns)


def convert_scan(scan: Scan, *, returns: Collection[int] = (1, 2)) -> Frame:
    """Convert a scan to a frame: range images become points, everything else stays the same.

    Raises:
        UserError: where the pose is no rigid motion, with which points would be anywhere.
    """
    if fault := find_pose_fault(scan.world_from_vehicle):
        raise UserError(f"frame {scan.segment}/{scan.timestamp_us}: {fault.text}")
    with time_stage("geometry"):
        points = convert_range_images(scan, returns)
    return Frame(
        points=points,
        ground_truth=scan.ground_truth,
        world_from_vehicle=scan.world_from_vehicle,
        timestamp_us=scan.timestamp_us,
        segment=scan.segment,
        calibrations=tuple(lidar.calibration for lidar in scan.lidars),
        no_label_zones=scan.no_label_zones,
        context=scan.context,
    )


def decode_scan(record: bytes, *, returns: Collection[int] = (1, 2)) -> Scan:
    """Decode a record to labels, calibrations, and range images up to the highest of `returns`.

    Raises:
        UserError: if the record is no Waymo `Frame`, or its contents contradict each other.
    """
    check_returns(returns)
    with time_stage("parse"):
        return _decode_scan(record, max(returns))


def _decode_scan(record: bytes, num_returns: int) -> Scan:
    parsed, lasers = _split_record(memoryview(record))
    try:
        frame = proto.Frame.FromString(parsed)
    except DecodeError as error:
        raise UserError(f"not a Waymo Frame: {error}") from error
    if not frame.context.name or not frame.HasField("pose"):
        raise UserError("not a Waymo Frame: it has no context name or no pose")
    try:
        calibrations = {laser.name: _decode_calibration(laser) for laser in frame.context.laser_calibrations}
        return Scan(
            lidars=decode_lidar_scans(lasers, calibrations, num_returns),
            ground_truth=_decode_labels(frame.laser_labels),
            world_from_vehicle=_decode_matrix(frame.pose.transform, "pose"),
            timestamp_us=frame.timestamp_micros,
            segment=frame.context.name,
            no_label_zones=tuple(np.stack([zone.x, zone.y], axis=1) for zone in frame.no_label_zones),
            context={field.name: value for field, value in frame.context.stats.ListFields()},
        )
    except ValueError as error:  # UserErrors, and numpy's errors about impossible text or columns
        raise UserError(f"frame {frame.context.name}/{frame.timestamp_micros}: {error}") from error


def _split_record(record: memoryview) -> tuple[bytes, list[memoryview]]:
    """Split a record into the bytes to parse and the serialized lasers; leave the rest out."""
    parsed: list[memoryview] = []
    lasers: list[memoryview] = []
    for number, value, whole in iterate_fields(record):
        if number in _PARSED:
            parsed.append(whole)
        elif number == _LASERS and isinstance(value, memoryview):
            lasers.append(value)
    return b"".join(parsed), lasers


def _decode_calibration(laser: Any) -> LidarCalibration:
    return LidarCalibration(
        lidar=laser.name,
        vehicle_from_lidar=_decode_matrix(
            laser.extrinsic.transform, f"extrinsic of LiDAR {get_lidar_name(laser.name)}"
        ),
        beam_inclination_rad=np.array(laser.beam_inclinations, np.float64),
        beam_inclination_min_rad=laser.beam_inclination_min,
        beam_inclination_max_rad=laser.beam_inclination_max,
    )


def _decode_matrix(transform: Sequence[float], where: str) -> np.ndarray:
    if len(transform) != 16:
        raise UserError(f"{where}: {len(transform)} numbers, a 4 x 4 matrix needs 16")
    return np.array(transform, np.float64).reshape(4, 4)


def _decode_labels(labels: Sequence[Any]) -> GroundTruth:
    """Decode the labels of known types; Waymo's type is 1 + the position in WAYMO_CLASSES."""
    with time_stage("labels"):
        given, labels = labels, [label for label in labels if 1 <= label.type <= len(WAYMO_CLASSES)]
        if len(given) >= _MANY_LABELS and not labels:
            raise UserError(f"none of its {len(given)} laser_labels has a type from 1 to {len(WAYMO_CLASSES)}")
        return GroundTruth(
            box=np.array([_decode_box(label.box) for label in labels], np.float32).reshape(-1, 7),
            label=np.array([label.type - 1 for label in labels], np.int64),
            level=np.array([label.detection_difficulty_level for label in labels], np.int64),
            num_points=np.array([label.num_lidar_points_in_box for label in labels], np.int64),
            track=np.array([label.id for label in labels], np.str_),
            speed=np.array([_decode_speed(label) for label in labels], np.float32).reshape(-1, 2),
        )


def _decode_box(box: Any) -> tuple[float, ...]:
    return box.center_x, box.center_y, box.center_z, box.length, box.width, box.height, box.heading


def _decode_speed(label: Any) -> tuple[float, float]:
    if not label.HasField("metadata"):
        return np.nan, np.nan
    return label.metadata.speed_x, label.metadata.speed_y
