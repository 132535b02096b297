"""Random changes to a training frame: one transform of the vehicle frame, for points and boxes alike.

Every change of geometry is a similarity p' = A p of the vehicle frame: a mirror, a rotation about z, a
scale and a shift. Boxes are transformed with their sizes and headings. The frame's pose and the LiDARs'
mountings are multiplied so that world coordinates stay the same. Speeds and no-label zones are given in
the world and therefore do not change: the velocity that a network should predict, which is
inverse(world_from_vehicle) applied to the speed, turns, mirrors and scales with the frame.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from pcdet_poly.config.sections.data import AugmentConfig
from pcdet_poly.structures import Frame

# (4, 4) float64 transforms of the vehicle frame.
FLIP_X = np.diag([1.0, -1.0, 1.0, 1.0])  # mirror along the x axis: y becomes -y
FLIP_Y = np.diag([-1.0, 1.0, 1.0, 1.0])  # mirror along the y axis: x becomes -x


def augment(frame: Frame, rng: np.random.Generator, cfg: AugmentConfig) -> Frame:
    """Return a new frame with random flips, rotation, scale, shift and order of points.

    They are applied in this order; with `cfg.flips` "last", flips are applied after the shift.

    Args:
        frame: the training frame, which is not changed.
        rng: source of the random numbers.
        cfg: the section `augment` of the settings.
    """
    frame = transform_frame(frame, draw_transform(rng, cfg))
    return shuffle_points(frame, rng) if cfg.shuffle else frame


def draw_transform(rng: np.random.Generator, cfg: AugmentConfig) -> np.ndarray:
    """Draw the change of geometry that `cfg` asks for, a transform (4, 4) float64 of the vehicle frame."""
    if cfg.flips == "first":
        flips = _draw_flips(rng, cfg)
        return _draw_motion(rng, cfg) @ flips
    motion = _draw_motion(rng, cfg)
    return _draw_flips(rng, cfg) @ motion


def _draw_flips(rng: np.random.Generator, cfg: AugmentConfig) -> np.ndarray:
    """Draw a mirror image, or none, along each axis that `cfg` names: a transform (4, 4)."""
    matrix = np.eye(4)
    if cfg.flip_x and rng.random() < 0.5:
        matrix = FLIP_X @ matrix
    if cfg.flip_y and rng.random() < 0.5:
        matrix = FLIP_Y @ matrix
    return matrix


def _draw_motion(rng: np.random.Generator, cfg: AugmentConfig) -> np.ndarray:
    """Draw a rotation, a scale and a shift, applied in this order: a transform (4, 4)."""
    rotation = rotation_matrix(rng.uniform(-cfg.rotation_rad, cfg.rotation_rad))
    scaling = scaling_matrix(rng.uniform(*cfg.scale))
    shift_m = rng.normal(0.0, cfg.translation_m, 3 if cfg.shift == "per_axis" else 1)
    return translation_matrix(shift_m) @ scaling @ rotation


def rotation_matrix(angle_rad: float) -> np.ndarray:
    """(4, 4) float64 rotation about z, counter-clockwise seen from above."""
    cos, sin = math.cos(angle_rad), math.sin(angle_rad)
    matrix = np.eye(4)
    matrix[:2, :2] = [[cos, -sin], [sin, cos]]
    return matrix


def scaling_matrix(factor: float) -> np.ndarray:
    """(4, 4) float64 scaling about the vehicle's origin."""
    return np.diag([factor, factor, factor, 1.0])


def translation_matrix(shift_m: np.ndarray) -> np.ndarray:
    """(4, 4) float64 shift by `shift_m` (3,) metres, or (1,) along all axes."""
    matrix = np.eye(4)
    matrix[:3, 3] = shift_m
    return matrix


def transform_frame(frame: Frame, matrix: np.ndarray) -> Frame:
    """Return the frame after p' = matrix p; `matrix` is a product of the transforms above."""
    if frame.columns[:3] != ("x", "y", "z"):
        raise ValueError(f"transform: columns {frame.columns} given, x, y, z first needed")
    points = frame.points.copy()
    points[:, :3] = transform_points(matrix, frame.points[:, :3])
    return replace(
        frame,
        points=points,
        ground_truth=replace(frame.ground_truth, box=transform_boxes(matrix, frame.ground_truth.box)),
        world_from_vehicle=frame.world_from_vehicle @ np.linalg.inv(matrix),
        calibrations=tuple(
            replace(lidar, vehicle_from_lidar=matrix @ lidar.vehicle_from_lidar) for lidar in frame.calibrations
        ),
    )


def shuffle_points(frame: Frame, rng: np.random.Generator) -> Frame:
    """Return the frame with its points in random order."""
    return replace(frame, points=frame.points.take(rng.permutation(len(frame.points)), axis=0))


def transform_boxes(matrix: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Transform boxes (N, 7) by a matrix (4, 4): (N, 7) float32 with headings in [-pi, pi]."""
    box = box.astype(np.float64)
    forward = np.stack([np.cos(box[:, 6]), np.sin(box[:, 6])], axis=1) @ matrix[:2, :2].T
    scale = np.cbrt(abs(np.linalg.det(matrix[:3, :3])))
    heading = np.arctan2(forward[:, 1], forward[:, 0])
    moved = np.concatenate([transform_points(matrix, box[:, :3]), box[:, 3:6] * scale, heading[:, None]], axis=1)
    return moved.astype(np.float32)


def transform_points(matrix: np.ndarray, xyz: np.ndarray) -> np.ndarray:
    """Transform points (N, 3) by a matrix (4, 4), in the precision of `xyz`.

    The product is written out, because a matrix product starts BLAS's threads in every worker of a
    loader: 1 ms of work then took 45 ms on two busy cores.
    """
    a = matrix.astype(xyz.dtype)
    x, y, z = xyz[:, 0], xyz[:, 1], xyz[:, 2]
    return np.stack([x * a[i, 0] + y * a[i, 1] + z * a[i, 2] + a[i, 3] for i in range(3)], axis=1)
