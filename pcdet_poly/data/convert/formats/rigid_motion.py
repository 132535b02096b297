"""Turns points and boxes from one frame of reference into another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def make_pose(rotation: Sequence[float] | np.ndarray, translation: Sequence[float] | np.ndarray) -> np.ndarray:
    """Put a unit quaternion (w, x, y, z) and a translation (3,), metres, into one (4, 4) float64 motion."""
    w, x, y, z = np.asarray(rotation, np.float64) / np.linalg.norm(rotation)
    pose = np.eye(4)
    pose[:3, :3] = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    pose[:3, 3] = translation
    return pose


def move_points(points: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """Return points (P, C) float32 whose first three columns are moved by `motion` (4, 4)."""
    moved = points.copy()
    moved[:, :3] = points[:, :3].astype(np.float64) @ motion[:3, :3].T + motion[:3, 3]
    return moved


def move_boxes(center: np.ndarray, size: np.ndarray, forward: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """Move boxes by a rigid motion and stand them upright.

    Args:
        center: (N, 3) metres.
        size: (N, 3) length, width, height in metres.
        forward: (N, 3) direction of each box's length.
        motion: (4, 4) into the vehicle frame.

    Returns:
        (N, 7) float32 boxes in the vehicle frame; headings are those of `forward` seen from above.
    """
    moved = center @ motion[:3, :3].T + motion[:3, 3]
    ahead = forward @ motion[:3, :3].T
    heading = np.arctan2(ahead[:, 1], ahead[:, 0])
    return np.column_stack([moved, size, heading]).astype(np.float32).reshape(-1, 7)
