"""Range images -> points in the vehicle frame, by Waymo's official conversion.

The rules are Waymo's, so that points, labels and metrics fit together. The arithmetic is float64 and
subtracts the frame's position before it rotates; the official code works in float32 at world
coordinates and is up to 4 mm off at 20 km from the world's origin.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit

from pcdet_poly.structures import POINT_COLUMNS, LidarCalibration
from pcdet_poly.waymo.scan import LidarScan, Scan


def points_of_scan(scan: Scan, returns: Collection[int] = (1, 2)) -> np.ndarray:
    """All points of the given `returns`: (P, 8) float32, columns as POINT_COLUMNS.

    A pixel with a range above 0 is a point. Order: return 1 before return 2, within one return the
    LiDARs ascending, within one image row by row.
    """
    rays = [_rays(lidar) for lidar in scan.lidars if lidar.returns]
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
    """(rows,) float64: angle above the LiDAR's x-y plane of each row of a range image, row 0 highest."""
    ascending = calibration.beam_inclination_rad
    if not len(ascending):
        low, high = calibration.beam_inclination_min_rad, calibration.beam_inclination_max_rad
        ascending = (np.arange(rows) + 0.5) / rows * (high - low) + low
    return ascending[::-1]


def column_azimuth_rad(calibration: LidarCalibration, columns: int) -> np.ndarray:
    """(columns,) float64: angle in the LiDAR's x-y plane of each column of a range image.

    Falls from column to column by 2 pi / columns. The yaw of the LiDAR's mounting is taken off, so that
    the same column of every image looks (nearly) the same way in the vehicle frame: the first and the
    last one backwards, the middle one forwards.
    """
    mounting = calibration.vehicle_from_lidar
    yaw = math.atan2(mounting[1, 0], mounting[0, 0])
    return ((columns - np.arange(columns) - 0.5) / columns * 2 - 1) * math.pi - yaw


@dataclass(frozen=True)
class _Rays:
    """Where the pixels of a LiDAR's images look, and the turns of its columns, kept from one return to the next."""

    lidar: LidarScan
    row: np.ndarray  # (2, H) float64: cosine and sine of the inclination
    column: np.ndarray  # (2, W) float64: of the azimuth
    angles: np.ndarray  # (W, 3) float32: the roll, pitch and yaw that `turns` are of
    turns: np.ndarray  # (W, 6) float64: their cosines and sines; no columns (W = 0) without poses


def _rays(lidar: LidarScan) -> _Rays:
    rows, columns = lidar.returns[0].shape[:2]
    inclination = beam_inclination_rad(lidar.calibration, rows)
    azimuth = column_azimuth_rad(lidar.calibration, columns)
    posed = 0 if lidar.pixel_pose is None else columns
    return _Rays(
        lidar,
        row=np.stack([np.cos(inclination), np.sin(inclination)]),
        column=np.stack([np.cos(azimuth), np.sin(azimuth)]),
        angles=np.full((posed, 3), np.nan, np.float32),
        turns=np.empty((posed, 6)),
    )


def _fill_from_images(points: np.ndarray, images: Sequence[tuple[_Rays, int]], world_from_vehicle: np.ndarray) -> int:
    """Write the points of the images into `points` as far as there is room; how many there are."""
    rotation = np.linalg.inv(world_from_vehicle[:3, :3])
    origin = np.ascontiguousarray(world_from_vehicle[:3, 3], np.float64)
    num_points = 0
    for rays, number in images:
        lidar = rays.lidar
        num_points += _fill(
            points[num_points:],
            _bytes(lidar.returns[number - 1]),
            rays.row,
            rays.column,
            np.ascontiguousarray(lidar.calibration.vehicle_from_lidar, np.float64),
            _bytes(_NO_POSE if lidar.pixel_pose is None else lidar.pixel_pose),
            rays.angles,
            rays.turns,
            rotation,
            origin,
            number,
            lidar.calibration.lidar,
        )
    return num_points


_NO_POSE = np.empty((0, 0, 6), np.float32)


def _bytes(image: np.ndarray) -> np.ndarray:
    # Decoded images lie where their record's bytes do, not always at a multiple of 4. As bytes, all are of one type,
    # and the kernel is compiled once.
    view = np.ascontiguousarray(image).view(np.uint8).reshape(-1)
    view.flags.writeable = False
    return view


@njit(cache=True, nogil=True)
def _fill(points, image, row_turn, column_turn, mount, pose, angles, turns, rotation, origin, number, lidar):  # type: ignore[no-untyped-def]
    """One image, its bytes, into the first rows of `points` while there is room; how many points it has.

    `rotation` and `origin`: world to vehicle. All beams of a column are fired at nearly the same instant, and Waymo
    gives them one pose: a column's sines and cosines are kept until its angles change, which halves the time.
    """
    rows, columns, room = row_turn.shape[1], column_turn.shape[1], len(points)
    pixels = image.view(np.float32).reshape(rows, columns, 4)
    poses = pose.view(np.float32).reshape(rows if len(pose) else 0, columns, 6)
    i = 0
    for row in range(rows):
        for column in range(columns):
            distance = pixels[row, column, 0]
            if not distance > 0:
                continue
            if i < room:
                flat = distance * row_turn[0, row]
                x, y, z = _affine(
                    mount, flat * column_turn[0, column], flat * column_turn[1, column], distance * row_turn[1, row]
                )
                if len(poses):
                    roll, pitch, yaw = poses[row, column, 0], poses[row, column, 1], poses[row, column, 2]
                    known = angles[column]
                    if not (roll == known[0] and pitch == known[1] and yaw == known[2]):
                        known[0], known[1], known[2] = roll, pitch, yaw
                        _set_turn(turns[column], np.float64(roll), np.float64(pitch), np.float64(yaw))
                    x, y, z = _turn(turns[column], x, y, z)
                    x += poses[row, column, 3] - origin[0]
                    y += poses[row, column, 4] - origin[1]
                    z += poses[row, column, 5] - origin[2]
                    x, y, z = _rotate(rotation, x, y, z)
                points[i, 0], points[i, 1], points[i, 2] = x, y, z
                points[i, 3], points[i, 4] = pixels[row, column, 1], pixels[row, column, 2]
                points[i, 5] = 1 if pixels[row, column, 3] > 0 else 0
                points[i, 6], points[i, 7] = number, lidar
            i += 1
    return i


@njit(cache=True, nogil=True, inline="always")
def _rotate(r, x, y, z):  # type: ignore[no-untyped-def]
    return (
        r[0, 0] * x + r[0, 1] * y + r[0, 2] * z,
        r[1, 0] * x + r[1, 1] * y + r[1, 2] * z,
        r[2, 0] * x + r[2, 1] * y + r[2, 2] * z,
    )


@njit(cache=True, nogil=True, inline="always")
def _affine(m, x, y, z):  # type: ignore[no-untyped-def]
    x, y, z = _rotate(m, x, y, z)
    return x + m[0, 3], y + m[1, 3], z + m[2, 3]


@njit(cache=True, nogil=True, inline="always")
def _set_turn(turn, roll, pitch, yaw):  # type: ignore[no-untyped-def]
    turn[0], turn[1] = math.cos(roll), math.sin(roll)
    turn[2], turn[3] = math.cos(pitch), math.sin(pitch)
    turn[4], turn[5] = math.cos(yaw), math.sin(yaw)


@njit(cache=True, nogil=True, inline="always")
def _turn(turn, x, y, z):  # type: ignore[no-untyped-def]
    """Rotate by roll about x, then pitch about y, then yaw about z."""
    y, z = turn[0] * y - turn[1] * z, turn[1] * y + turn[0] * z
    x, z = turn[2] * x + turn[3] * z, -turn[3] * x + turn[2] * z
    return turn[4] * x - turn[5] * y, turn[5] * x + turn[4] * y, z
