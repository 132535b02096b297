"""Random changes to a training frame: one map of the vehicle's space, for points and boxes alike.

Every change of geometry is a similarity p' = A p of the vehicle frame: a rotation about z, perhaps
a mirror, a scale, a shift. Boxes go through it with their sizes and headings; the pose and the
LiDARs' places are multiplied so that world coordinates stay what they were. Speeds and no-label
zones live in the world and are therefore left alone: the velocity a network should see,
inverse(world_from_vehicle) applied to the speed, turns, mirrors and scales with the frame.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from pcdet_poly.config.schema import AugmentConfig
from pcdet_poly.structures import Frame


def augment(frame: Frame, rng: np.random.Generator, cfg: AugmentConfig) -> Frame:
    """A new frame: flips, rotation, scale, shift and order of points drawn from `rng`."""
    if cfg.flip_x and rng.random() < 0.5:
        frame = flip_x(frame)
    if cfg.flip_y and rng.random() < 0.5:
        frame = flip_y(frame)
    if cfg.rotation_rad > 0:
        frame = rotate(frame, rng.uniform(-cfg.rotation_rad, cfg.rotation_rad))
    if cfg.scale != (1.0, 1.0):
        frame = scale(frame, rng.uniform(*cfg.scale))
    if cfg.translation_m > 0:
        frame = translate(frame, rng.normal(0.0, cfg.translation_m, 3))
    if cfg.shuffle:
        frame = shuffle(frame, rng)
    return frame


def flip_x(frame: Frame) -> Frame:
    """Mirror along the x axis: y becomes -y."""
    return _moved(frame, np.diag([1.0, -1.0, 1.0, 1.0]), -frame.ground_truth.box[:, 6])


def flip_y(frame: Frame) -> Frame:
    """Mirror along the y axis: x becomes -x."""
    return _moved(frame, np.diag([-1.0, 1.0, 1.0, 1.0]), math.pi - frame.ground_truth.box[:, 6])


def rotate(frame: Frame, angle_rad: float) -> Frame:
    """Rotate about z, counter-clockwise seen from above."""
    cos, sin = math.cos(angle_rad), math.sin(angle_rad)
    matrix = np.eye(4)
    matrix[:2, :2] = [[cos, -sin], [sin, cos]]
    return _moved(frame, matrix, frame.ground_truth.box[:, 6] + angle_rad)


def scale(frame: Frame, factor: float) -> Frame:
    """Scale everything about the vehicle's origin."""
    return _moved(frame, np.diag([factor, factor, factor, 1.0]), frame.ground_truth.box[:, 6], size=factor)


def translate(frame: Frame, shift_m: np.ndarray) -> Frame:
    """Shift everything by (3,) metres."""
    matrix = np.eye(4)
    matrix[:3, 3] = shift_m
    return _moved(frame, matrix, frame.ground_truth.box[:, 6])


def shuffle(frame: Frame, rng: np.random.Generator) -> Frame:
    """The points in random order."""
    return replace(frame, points=frame.points[rng.permutation(len(frame.points))])


def _moved(frame: Frame, matrix: np.ndarray, heading_rad: np.ndarray, *, size: float = 1.0) -> Frame:
    """`frame` after p' = matrix p, (4, 4) float64, with the headings (N,) and the scale that go with it."""
    xyz = [frame.columns.index(axis) for axis in "xyz"]
    points = frame.points.copy()
    points[:, xyz] = _apply(matrix, frame.points[:, xyz])
    box = frame.ground_truth.box.astype(np.float64)
    box[:, :3] = _apply(matrix, box[:, :3])
    box[:, 3:6] *= size
    box[:, 6] = wrap_angle(heading_rad)
    return replace(
        frame,
        points=points,
        ground_truth=replace(frame.ground_truth, box=box.astype(np.float32)),
        world_from_vehicle=frame.world_from_vehicle @ np.linalg.inv(matrix),
        calibrations=tuple(
            replace(lidar, vehicle_from_lidar=matrix @ lidar.vehicle_from_lidar) for lidar in frame.calibrations
        ),
    )


def _apply(matrix: np.ndarray, xyz: np.ndarray) -> np.ndarray:
    """(N, 3) through (4, 4), in the precision of `xyz`."""
    return xyz @ matrix[:3, :3].T.astype(xyz.dtype) + matrix[:3, 3].astype(xyz.dtype)


def wrap_angle(angle_rad: np.ndarray) -> np.ndarray:
    """The same angles in [-pi, pi)."""
    return (angle_rad + math.pi) % (2 * math.pi) - math.pi
