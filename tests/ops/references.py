"""Slow and plain versions of what is tested, and random inputs."""

from __future__ import annotations

import numpy as np
import shapely

Array = np.ndarray


def random_boxes(rng: np.random.Generator, size: int, *, spread_m: float) -> Array:
    """(N, 7) float32 boxes of people to buses with centres within +-spread_m."""
    boxes = np.empty((size, 7))
    boxes[:, :3] = rng.uniform(-spread_m, spread_m, (size, 3)) * (1, 1, 0.1)
    boxes[:, 3:6] = rng.uniform((0.3, 0.3, 0.5), (6, 3, 3), (size, 3))
    boxes[:, 6] = rng.uniform(-7, 7, size)
    return boxes.astype(np.float32)


def footprint(box: Array) -> shapely.Polygon:
    """The box's rectangle in bird's-eye view."""
    x, y, length, width, heading = (float(box[column]) for column in (0, 1, 3, 4, 6))
    along = np.array([np.cos(heading), np.sin(heading)]) * length / 2
    across = np.array([-np.sin(heading), np.cos(heading)]) * width / 2
    corners = [along + across, -along + across, -along - across, along - across]
    return shapely.Polygon(np.array([x, y]) + corners)


def shapely_iou(a: Array, b: Array) -> float:
    """Bird's-eye IoU of two boxes (7,)."""
    shape_a, shape_b = footprint(a), footprint(b)
    return shape_a.intersection(shape_b).area / shape_a.union(shape_b).area
