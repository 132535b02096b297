"""Boxes made ready for pairs, and the overlap of a pair, over numpy arrays."""

from __future__ import annotations

import numpy as np

from pcdet_poly.ops.arrays.rotated_overlap import rotated_rectangle_overlap
from pcdet_poly.ops.arrays.rotation import cos_sin
from pcdet_poly.ops.compiler.kernel import kernel
from pcdet_poly.ops.precision import NO_OVERLAP

Array = np.ndarray

# Columns of prepared boxes, all float64: centre, size, heading, and the radius of the circle around them.
X, Y, Z, LENGTH, WIDTH, HEIGHT, COSINE, SINE, RADIUS = range(9)


@kernel
def prepare_boxes(box: Array) -> Array:
    """Convert boxes (N, 7) to (N, 9) float64, columns X to RADIUS."""
    if box.shape[1] != 7:
        raise ValueError("boxes of another shape than (N, 7)")
    prepared = np.empty((len(box), 9), np.float64)
    for i in range(len(box)):
        for column in range(6):
            prepared[i, column] = box[i, column]
        prepared[i, COSINE], prepared[i, SINE] = cos_sin(np.float64(box[i, 6]))
        length, width = prepared[i, LENGTH], prepared[i, WIDTH]
        prepared[i, RADIUS] = 0.5 * np.sqrt(length * length + width * width)
    return prepared


@kernel
def bev_overlap(a: Array, i: int, b: Array, j: int) -> float:
    """Bird's-eye area that two boxes share. 0 where they touch, or one is empty or not finite.

    Args:
        a: prepared boxes (N, 9) float64.
        i: which of a.
        b: prepared boxes (M, 9) float64.
        j: which of b.

    Returns:
        m2, float64.
    """
    dx, dy = b[j, X] - a[i, X], b[j, Y] - a[i, Y]
    reach = a[i, RADIUS] + b[j, RADIUS]
    if not dx * dx + dy * dy < reach * reach:
        return 0.0
    if not (a[i, LENGTH] > 0.0 and a[i, WIDTH] > 0.0 and b[j, LENGTH] > 0.0 and b[j, WIDTH] > 0.0):
        return 0.0
    area = rotated_rectangle_overlap(
        dx,
        dy,
        a[i, LENGTH],
        a[i, WIDTH],
        a[i, COSINE],
        a[i, SINE],
        b[j, LENGTH],
        b[j, WIDTH],
        b[j, COSINE],
        b[j, SINE],
    )
    smaller = min(a[i, LENGTH] * a[i, WIDTH], b[j, LENGTH] * b[j, WIDTH])
    return min(area, smaller) if area > NO_OVERLAP * smaller else 0.0
