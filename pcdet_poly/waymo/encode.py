"""Encodes a Scan as a Waymo v1 record, which decode.py reads."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from pcdet_poly.protos import dataset as proto
from pcdet_poly.structures import GroundTruth
from pcdet_poly.waymo.compression import deflate
from pcdet_poly.waymo.scan import LidarScan, Scan


def encode_scan(scan: Scan) -> bytes:
    """Encode a Scan as a serialized Waymo `Frame` without cameras; equal scans give equal bytes.

    Boxes, range images, poses and calibrations are kept exactly. Every range image carries an empty
    camera projection, because most readers (Waymo's own included) need one.
    """
    frame = proto.Frame(
        context=proto.Context(
            name=scan.segment,
            laser_calibrations=[_encode_calibration(lidar) for lidar in scan.lidars],
            stats=proto.Context.Stats(**scan.context),
        ),
        timestamp_micros=scan.timestamp_us,
        pose=_encode_transform(scan.world_from_vehicle),
        lasers=[_encode_laser(lidar) for lidar in scan.lidars],
        laser_labels=_encode_labels(scan.ground_truth),
        no_label_zones=[proto.Polygon2dProto(x=zone[:, 0], y=zone[:, 1]) for zone in scan.no_label_zones],
    )
    return frame.SerializeToString(deterministic=True)


def _encode_calibration(lidar: LidarScan) -> Any:
    calibration = lidar.calibration
    return proto.LaserCalibration(
        name=calibration.lidar,
        beam_inclinations=calibration.beam_inclination_rad,
        beam_inclination_min=calibration.beam_inclination_min_rad,
        beam_inclination_max=calibration.beam_inclination_max_rad,
        extrinsic=_encode_transform(calibration.vehicle_from_lidar),
    )


def _encode_transform(matrix: np.ndarray) -> Any:
    return proto.Transform(transform=matrix.ravel())


def _encode_laser(lidar: LidarScan) -> Any:
    images = [
        proto.RangeImage(
            range_image_compressed=deflate(_encode_matrix(image)),
            camera_projection_compressed=_encode_empty_projection(*image.shape[:2]),
        )
        for image in lidar.returns
    ]
    if images and lidar.pixel_pose is not None:
        images[0].range_image_pose_compressed = deflate(_encode_matrix(lidar.pixel_pose))
    return proto.Laser(name=lidar.calibration.lidar, **{f"ri_return{i}": image for i, image in enumerate(images, 1)})


def _encode_matrix(array: np.ndarray) -> bytes:
    """Encode a MatrixFloat; its packed floats are copied at once, not one by one through a repeated field."""
    data = array.astype("<f4").tobytes()
    head = b"\n" + _encode_varint(len(data))  # field 1, length-delimited
    return head + data + proto.MatrixFloat(shape=proto.MatrixShape(dims=array.shape)).SerializeToString()


def _encode_varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


@lru_cache
def _encode_empty_projection(rows: int, columns: int) -> bytes:
    """Encode (rows, columns, 6) zeros: no camera sees any of the pixels."""
    shape = rows, columns, 6
    matrix = proto.MatrixInt32(data=bytes(rows * columns * 6), shape=proto.MatrixShape(dims=shape))
    return deflate(matrix.SerializeToString())


def _encode_labels(ground_truth: GroundTruth) -> list[Any]:
    columns = ground_truth.columns()
    return [_encode_label(*row) for row in zip(*(column.tolist() for column in columns.values()), strict=True)]


def _encode_label(box: list[float], label: int, level: int, num_points: int, track: str, speed: list[float]) -> Any:
    x, y, z, length, width, height, heading = box
    message = proto.Label(
        box=proto.Label.Box(
            center_x=x, center_y=y, center_z=z, length=length, width=width, height=height, heading=heading
        ),
        type=label + 1,
        id=track,
        num_lidar_points_in_box=num_points,
    )
    if level:
        message.detection_difficulty_level = level
    if not np.isnan(speed).any():
        message.metadata.speed_x, message.metadata.speed_y = speed
    return message
