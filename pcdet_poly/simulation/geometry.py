"""Rotations, poses and polygons in numpy."""

from __future__ import annotations

import numpy as np


def rotation_matrices(roll: np.ndarray, pitch: np.ndarray, yaw: np.ndarray) -> np.ndarray:
    """Rotation matrices R = Rz(yaw) Ry(pitch) Rx(roll).

    Args:
        roll: Angles about x, radians, of any shape (...).
        pitch: Angles about y, radians, of the same shape.
        yaw: Angles about z, radians, of the same shape.

    Returns:
        (..., 3, 3) float64.
    """
    cr, cp, cy = np.cos(roll), np.cos(pitch), np.cos(yaw)
    sr, sp, sy = np.sin(roll), np.sin(pitch), np.sin(yaw)
    rows = [
        [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
        [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
        [-sp, cp * sr, cp * cr],
    ]
    return np.stack([np.stack(np.broadcast_arrays(*row), axis=-1) for row in rows], axis=-2)


def pose_matrix(rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """(4, 4) float64 homogeneous transform."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation
    matrix[:3, 3] = translation
    return matrix


def wrap_angle(angle_rad: np.ndarray) -> np.ndarray:
    """The same angle in [-pi, pi)."""
    return (angle_rad + np.pi) % (2 * np.pi) - np.pi
