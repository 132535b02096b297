"""Converts range images to points in the vehicle frame, by Waymo's rules.

The rules are those of Waymo's own code, so that points, labels and metrics fit together. The arithmetic is
float64 and subtracts the frame's position before it rotates. The official code works in float32 at world
coordinates, and is up to 4 mm off at 20 km from the world's origin.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from pcdet_poly.ops.compiler.kernel import kernel
from pcdet_poly.structures import POINT_COLUMNS, LidarCalibration
from pcdet_poly.waymo.scan import LidarScan, Scan


def convert_range_images(scan: Scan, returns: Collection[int] = (1, 2)) -> np.ndarray:
    """Convert the range images of the given `returns` to points (P, 8) float32 with columns POINT_COLUMNS.

    A pixel with a range above 0 is a point. Points of return 1 come before those of return 2, within a
    return LiDARs ascend, and within an image points are ordered row by row.
    """
    rays = [_compute_rays(lidar) for lidar in scan.lidars if lidar.returns]
    images = [(ray, number) for number in sorted(set(returns)) for ray in rays if number <= len(ray.lidar.returns)]
    num_pixels = sum(ray.lidar.returns[number - 1][..., 0].size for ray, number in images)
    # Counting first would be another pass over 30 MB; real frames fill a seventh of their pixels.
    points = np.empty((num_pixels // 4, len(POINT_COLUMNS)), np.float32)
    num_points = _fill_from_images(points, images, scan.world_from_vehicle)
    if num_points > len(points):
        points = np.empty((num_points, len(POINT_COLUMNS)), np.float32)
        _fill_from_images(points, images, scan.world_from_vehicle)
    points.resize((num_points, len(POINT_COLUMNS)), refcheck=False)  # in place: the rest was never touched
    return points


def beam_inclination_rad(calibration: LidarCalibration, rows: int) -> np.ndarray:
    """(rows,) float64: angle above the LiDAR's x-y plane of each row of a range image, row 0 being the highest."""
    ascending = calibration.beam_inclination_rad
    if not len(ascending):
        low, high = calibration.beam_inclination_min_rad, calibration.beam_inclination_max_rad
        ascending = (np.arange(rows) + 0.5) / rows * (high - low) + low
    return ascending[::-1]


def column_azimuth_rad(calibration: LidarCalibration, columns: int) -> np.ndarray:
    """(columns,) float64: angle in the LiDAR's x-y plane of each column of a range image.

    It falls from column to column by 2 pi / columns. The yaw of the LiDAR's mounting is subtracted, so that
    the same column of every LiDAR's image looks in (nearly) the same direction of the vehicle frame: the first
    and the last one backwards, the middle one forwards.
    """
    mounting = calibration.vehicle_from_lidar
    yaw = math.atan2(mounting[1, 0], mounting[0, 0])
    return ((columns - np.arange(columns) - 0.5) / columns * 2 - 1) * math.pi - yaw


@dataclass(frozen=True)
class _Rays:
    """The rays of a LiDAR's H x W pixels.

    The rays of a column are 9 float64, three vectors a, b, c: a pixel with range r and inclination i lies at
    a r cos(i) + b r sin(i) + c.
    """

    lidar: LidarScan
    row: np.ndarray  # (2, H) float64: cosine and sine of the inclination
    column: np.ndarray  # (W, 9) float64: rays in the vehicle frame at the time of the measurement
    moved: np.ndarray  # (W, 9) float64: rays in the vehicle frame of the record; written by the kernel
    pose: np.ndarray  # (W, 6) float32: the pixel pose that `moved` was computed with; NaN at first


def _compute_rays(lidar: LidarScan) -> _Rays:
    rows, columns = lidar.returns[0].shape[:2]
    inclination = beam_inclination_rad(lidar.calibration, rows)
    azimuth = column_azimuth_rad(lidar.calibration, columns)
    mounting = np.asarray(lidar.calibration.vehicle_from_lidar, np.float64)
    column = np.empty((columns, 9))
    column[:, :3] = np.outer(np.cos(azimuth), mounting[:3, 0]) + np.outer(np.sin(azimuth), mounting[:3, 1])
    column[:, 3:6], column[:, 6:] = mounting[:3, 2], mounting[:3, 3]
    return _Rays(
        lidar,
        row=np.stack([np.cos(inclination), np.sin(inclination)]),
        column=column,
        moved=column.copy(),
        pose=np.full((columns, 6), np.nan, np.float32),
    )


def _fill_from_images(points: np.ndarray, images: Sequence[tuple[_Rays, int]], world_from_vehicle: np.ndarray) -> int:
    """Write the points of the images into `points` as far as they fit; return how many points there are."""
    rotation = np.linalg.inv(world_from_vehicle[:3, :3])
    origin = np.ascontiguousarray(world_from_vehicle[:3, 3], np.float64)
    num_points = 0
    for rays, number in images:
        lidar = rays.lidar
        num_points += _fill(
            points[num_points:],
            _view_as_bytes(lidar.returns[number - 1]),
            _view_as_bytes(_NO_POSE if lidar.pixel_pose is None else lidar.pixel_pose),
            rays.row,
            rays.column,
            rays.moved,
            rays.pose,
            rotation,
            origin,
            number,
            lidar.calibration.lidar,
        )
    return num_points


_NO_POSE = np.empty((0, 0, 6), np.float32)


def _view_as_bytes(image: np.ndarray) -> np.ndarray:
    # The memory of a decoded image does not always begin at a multiple of 4. As bytes, all images have one type, and
    # the kernel is compiled once.
    view = np.ascontiguousarray(image).view(np.uint8).reshape(-1)
    view.flags.writeable = False
    return view


@kernel
def _fill(
    points: np.ndarray,
    image: np.ndarray,
    pixel_pose: np.ndarray,
    row_ray: np.ndarray,
    column_ray: np.ndarray,
    moved: np.ndarray,
    known: np.ndarray,
    rotation: np.ndarray,
    origin: np.ndarray,
    number: int,
    lidar: int,
) -> int:
    """Write the points of one image into the first rows of `points` as far as they fit; return how many there are.

    All beams of a column are fired at nearly the same time, and Waymo gives them one pose: the rays of a column
    are moved once and kept until its pose changes, which halves the time.

    Args:
        points: (P, 8) float32, written here; columns POINT_COLUMNS.
        image: bytes of a range image (H, W, 4) float32.
        pixel_pose: bytes of its pixel poses (H, W, 6) float32; empty to use the frame's pose.
        row_ray: (2, H) float64, cosine and sine of each row's inclination.
        column_ray: (W, 9) float64, rays as `_Rays.column`.
        moved: (W, 9) float64, rays as `_Rays.moved`, updated here.
        known: (W, 6) float32, the poses that `moved` was computed with, updated here.
        rotation: (3, 3) float64, world to vehicle.
        origin: (3,) float64, the vehicle's position in the world.
        number: number of the return, 1 or 2.
        lidar: Waymo's LaserName.
    """
    rows, columns, room = row_ray.shape[1], len(column_ray), len(points)
    pixels = image.view(np.float32).reshape(rows, columns, 4)
    poses = pixel_pose.view(np.float32).reshape(rows if len(pixel_pose) else 0, columns, 6)
    i = 0
    for row in range(rows):
        for column in range(columns):
            distance = pixels[row, column, 0]
            if not distance > 0:
                continue
            if i < room:
                if len(poses) and not _is_known(known, poses, row, column):
                    known[column] = poses[row, column]
                    _move(moved[column], column_ray[column], poses[row, column], rotation, origin)
                flat, up = distance * row_ray[0, row], distance * row_ray[1, row]
                x = flat * moved[column, 0] + up * moved[column, 3] + moved[column, 6]
                y = flat * moved[column, 1] + up * moved[column, 4] + moved[column, 7]
                z = flat * moved[column, 2] + up * moved[column, 5] + moved[column, 8]
                intensity, elongation, zone = pixels[row, column, 1], pixels[row, column, 2], pixels[row, column, 3]
                points[i, 0], points[i, 1], points[i, 2] = x, y, z
                points[i, 3], points[i, 4], points[i, 5] = intensity, elongation, 1 if zone > 0 else 0
                points[i, 6], points[i, 7] = number, lidar
            i += 1
    return i


@kernel(inline="always")
def _is_known(known: np.ndarray, poses: np.ndarray, row: int, column: int) -> bool:
    return bool(
        known[column, 0] == poses[row, column, 0]
        and known[column, 1] == poses[row, column, 1]
        and known[column, 2] == poses[row, column, 2]
        and known[column, 3] == poses[row, column, 3]
        and known[column, 4] == poses[row, column, 4]
        and known[column, 5] == poses[row, column, 5]
    )


@kernel
def _move(moved: np.ndarray, ray: np.ndarray, pose: np.ndarray, rotation: np.ndarray, origin: np.ndarray) -> None:
    """Move the rays of a column (9,) from the vehicle frame at its `pose` (6,) in the world into the record's."""
    roll, pitch, yaw = np.float64(pose[0]), np.float64(pose[1]), np.float64(pose[2])
    cr, sr, cp, sp, cy, sy = (
        math.cos(roll),
        math.sin(roll),
        math.cos(pitch),
        math.sin(pitch),
        math.cos(yaw),
        math.sin(yaw),
    )
    for k in (0, 3, 6):
        x, y, z = ray[k], ray[k + 1], ray[k + 2]
        y, z = cr * y - sr * z, sr * y + cr * z
        x, z = cp * x + sp * z, cp * z - sp * x
        x, y = cy * x - sy * y, sy * x + cy * y
        if k == 6:
            x, y, z = x + pose[3] - origin[0], y + pose[4] - origin[1], z + pose[5] - origin[2]
        for j in range(3):
            moved[k + j] = rotation[j, 0] * x + rotation[j, 1] * y + rotation[j, 2] * z
