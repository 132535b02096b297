"""Intersection over union of rotated boxes on the CPU, over numpy arrays."""

from __future__ import annotations

import numpy as np

from pcdet_poly.ops.arrays.overlap import HEIGHT, LENGTH, WIDTH, Z, bev_overlap, prepare_boxes
from pcdet_poly.ops.compiler.kernel import kernel
from pcdet_poly.ops.precision import FINITE

Array = np.ndarray


@kernel
def pairwise_iou(box_a: Array, box_b: Array, with_height: bool) -> Array:
    """IoU of every box of one set with every box of another.

    Args:
        box_a: (N, 7) float32.
        box_b: (M, 7) float32.
        with_height: 3D IoU rather than bird's-eye.

    Returns:
        (N, M) float32.
    """
    a, b = prepare_boxes(box_a), prepare_boxes(box_b)
    iou = np.empty((len(a), len(b)), np.float32)
    for i in range(len(a)):
        for j in range(len(b)):
            iou[i, j] = prepared_pair_iou(a, i, b, j, with_height)
    return iou


@kernel
def matched_iou(box_a: Array, box_b: Array, with_height: bool) -> Array:
    """IoU of box_a[i] with box_b[i].

    Args:
        box_a: (N, 7) float32.
        box_b: (N, 7) float32.
        with_height: 3D IoU rather than bird's-eye.

    Returns:
        (N,) float32.
    """
    if len(box_a) != len(box_b):
        raise ValueError("matched_iou: not as many boxes of each")
    a, b = prepare_boxes(box_a), prepare_boxes(box_b)
    iou = np.empty(len(a), np.float32)
    for i in range(len(a)):
        iou[i] = prepared_pair_iou(a, i, b, i, with_height)
    return iou


@kernel
def prepared_pair_iou(a: Array, i: int, b: Array, j: int, with_height: bool) -> float:
    """IoU of two boxes.

    Args:
        a: prepared boxes (N, 9) float64, see `prepare_boxes`.
        i: which of a.
        b: prepared boxes (M, 9) float64.
        j: which of b.
        with_height: 3D IoU rather than bird's-eye.

    Returns:
        float64.
    """
    overlap = bev_overlap(a, i, b, j)
    size_a = a[i, LENGTH] * a[i, WIDTH]
    size_b = b[j, LENGTH] * b[j, WIDTH]
    if with_height:
        top = min(a[i, Z] + 0.5 * a[i, HEIGHT], b[j, Z] + 0.5 * b[j, HEIGHT])
        bottom = max(a[i, Z] - 0.5 * a[i, HEIGHT], b[j, Z] - 0.5 * b[j, HEIGHT])
        overlap *= top - bottom
        size_a *= a[i, HEIGHT]
        size_b *= b[j, HEIGHT]
        if not (0.0 < size_a < FINITE and 0.0 < size_b < FINITE and abs(a[i, Z] - b[j, Z]) < FINITE):
            return 0.0
    if not overlap > 0.0:
        return 0.0
    return overlap / (size_a + size_b - overlap)
