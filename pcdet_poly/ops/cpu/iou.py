"""Intersection over union of rotated boxes on the CPU, over numpy arrays."""

from __future__ import annotations

import numpy as np

from pcdet_poly.ops.cpu.compile import kernel
from pcdet_poly.ops.cpu.overlap import HALF_HEIGHT, HALF_LENGTH, HALF_WIDTH, Z, bev_overlap, prepare

Array = np.ndarray


@kernel
def pairwise(box_a: Array, box_b: Array, with_height: bool) -> Array:
    """Boxes (N, 7), (M, 7) -> IoU (N, M) float32, bird's-eye or 3D."""
    a, b = prepare(box_a), prepare(box_b)
    iou = np.empty((len(a), len(b)), np.float32)
    for i in range(len(a)):
        for j in range(len(b)):
            iou[i, j] = pair(a, i, b, j, with_height)
    return iou


@kernel
def matched(box_a: Array, box_b: Array, with_height: bool) -> Array:
    """Boxes (N, 7), (N, 7) -> IoU (N,) float32 of box_a[i] with box_b[i]."""
    a, b = prepare(box_a), prepare(box_b)
    iou = np.empty(len(a), np.float32)
    for i in range(len(a)):
        iou[i] = pair(a, i, b, i, with_height)
    return iou


@kernel
def pair(a: Array, i: int, b: Array, j: int, with_height: bool) -> float:
    """IoU of prepared boxes a[i] and b[j], float64."""
    overlap = bev_overlap(a, i, b, j)
    size_a = 4.0 * a[i, HALF_LENGTH] * a[i, HALF_WIDTH]
    size_b = 4.0 * b[j, HALF_LENGTH] * b[j, HALF_WIDTH]
    if with_height:
        top = min(a[i, Z] + a[i, HALF_HEIGHT], b[j, Z] + b[j, HALF_HEIGHT])
        bottom = max(a[i, Z] - a[i, HALF_HEIGHT], b[j, Z] - b[j, HALF_HEIGHT])
        overlap *= top - bottom
        size_a *= 2.0 * a[i, HALF_HEIGHT]
        size_b *= 2.0 * b[j, HALF_HEIGHT]
        if not (size_a > 0.0 and size_b > 0.0):
            return 0.0
    if not overlap > 0.0:
        return 0.0
    return overlap / (size_a + size_b - overlap)
