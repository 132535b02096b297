"""Decodes serialized `Laser` messages to LiDAR scans without copying them first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pcdet_poly.errors import UserError
from pcdet_poly.structures import TOP_LIDAR, LidarCalibration
from pcdet_poly.waymo.compression import MAX_INFLATED_BYTES, inflate
from pcdet_poly.waymo.protobuf_wire import read_byte_fields, read_float_matrix, read_integer
from pcdet_poly.waymo.scan import LidarScan, get_lidar_name

# Field numbers of Laser and of RangeImage.
_NAME, _RETURNS = 1, (2, 3)
_IMAGE, _POSE = 2, 4
_NOTHING = memoryview(b"")
_ROOM_BYTES = 1 << 22  # any image may take as much, so that an error of a small one can tell its shape


def decode_lidar_scans(
    lasers: Sequence[memoryview], calibrations: Mapping[int, LidarCalibration], num_returns: int
) -> tuple[LidarScan, ...]:
    """Decode the range images of every calibrated LiDAR.

    Args:
        lasers: serialized `Laser` messages.
        calibrations: LiDAR (Waymo's LaserName) -> its calibration.
        num_returns: decode at most so many images per LiDAR, 1 or 2.

    Returns:
        One scan per calibrated LiDAR, ascending; without images if the LiDAR measured nothing.

    Raises:
        UserError: if a message is malformed, or a LiDAR with images has no calibration or no pixel poses.
    """
    by_name = {read_integer(laser, _NAME): _get_filled_returns(laser) for laser in lasers}
    for name, returns in by_name.items():
        if returns and name not in calibrations:
            raise UserError(
                f"LiDAR {get_lidar_name(name)} has range images but no calibration: "
                "add it to context.laser_calibrations"
            )
    return tuple(
        _decode_lidar_scan(calibrations[name], by_name.get(name, [])[:num_returns]) for name in sorted(calibrations)
    )


def _get_filled_returns(laser: memoryview) -> list[dict[int, memoryview]]:
    """Get the fields of each RangeImage that is not empty; Waymo writes empty ones if it withholds data."""
    messages = read_byte_fields(laser)
    returns = [read_byte_fields(messages.get(number, _NOTHING)) for number in _RETURNS]
    if returns[1].get(_IMAGE) and not returns[0].get(_IMAGE):
        raise UserError(f"LiDAR {get_lidar_name(read_integer(laser, _NAME))} has a second return but no first")
    return [image for image in returns if image.get(_IMAGE)]


def _decode_lidar_scan(calibration: LidarCalibration, returns: Sequence[dict[int, memoryview]]) -> LidarScan:
    name = get_lidar_name(calibration.lidar)
    images: list[np.ndarray] = []
    for number, image in enumerate(returns, start=1):
        room = MAX_INFLATED_BYTES if not images else max(_ROOM_BYTES, 2 * images[0].nbytes)
        images.append(_decode_image(image[_IMAGE], f"LiDAR {name}, return {number}", room))
    pose = None
    if images and calibration.lidar == TOP_LIDAR:
        if not returns[0].get(_POSE):
            raise UserError(f"LiDAR {name} has range images but no pose per pixel: add range_image_pose_compressed")
        room = max(_ROOM_BYTES, 2 * images[0].nbytes)  # poses take 6/4 of an image
        pose = _decode_image(returns[0][_POSE], f"LiDAR {name}, pixel poses", room)
    return LidarScan(calibration, tuple(images), pose)


def _decode_image(compressed: memoryview, where: str, max_bytes: int) -> np.ndarray:
    try:
        return read_float_matrix(memoryview(inflate(compressed, max_bytes)).toreadonly())
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
