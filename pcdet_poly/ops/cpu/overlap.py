"""Overlap of two rotated boxes, exact up to float64 rounding whatever edges coincide.

In the frame of box b, b is the rectangle |x| <= l/2, |y| <= w/2, and box a a convex quadrilateral.
Their common area is the integral over b's length of the stretch of a's width inside b:
    area = integral of (clamp(y_top(x)) - clamp(y_bottom(x))) dx,    clamp to [-w/2, w/2],
where y_top and y_bottom are a's boundary. So every edge of a contributes the integral of a clamped
linear function, signed by its direction. No intersection points, no polygon, no special cases.
"""

from __future__ import annotations

import numpy as np

from pcdet_poly.ops.cpu.compile import kernel
from pcdet_poly.ops.cpu.rotation import cos_sin
from pcdet_poly.ops.precision import NO_OVERLAP

Array = np.ndarray

# Columns of a prepared box, all float64.
X, Y, Z, HALF_LENGTH, HALF_WIDTH, HALF_HEIGHT, COSINE, SINE, RADIUS = range(9)


@kernel
def prepare(box: Array) -> Array:
    """Boxes (N, 7) -> (N, 9) float64: centre, half sizes, cosine, sine, bird's-eye radius."""
    prepared = np.empty((len(box), 9), np.float64)
    for i in range(len(box)):
        for column in range(3):
            prepared[i, column] = box[i, column]
            prepared[i, column + 3] = 0.5 * np.float64(box[i, column + 3])
        prepared[i, COSINE], prepared[i, SINE] = cos_sin(np.float64(box[i, 6]))
        prepared[i, RADIUS] = np.sqrt(prepared[i, HALF_LENGTH] ** 2 + prepared[i, HALF_WIDTH] ** 2)
    return prepared


@kernel
def bev_overlap(a: Array, i: int, b: Array, j: int) -> float:
    """Common bird's-eye area of prepared boxes a[i] and b[j], m2. 0 where they touch, or one is empty or not finite."""
    dx, dy = a[i, X] - b[j, X], a[i, Y] - b[j, Y]
    reach = a[i, RADIUS] + b[j, RADIUS]
    if not (dx * dx + dy * dy < reach * reach):
        return 0.0
    smaller = min(4.0 * a[i, HALF_LENGTH] * a[i, HALF_WIDTH], 4.0 * b[j, HALF_LENGTH] * b[j, HALF_WIDTH])
    if not (a[i, HALF_LENGTH] > 0.0 and a[i, HALF_WIDTH] > 0.0 and b[j, HALF_LENGTH] > 0.0 and b[j, HALF_WIDTH] > 0.0):
        return 0.0
    area = _area(
        dx * b[j, COSINE] + dy * b[j, SINE],
        dy * b[j, COSINE] - dx * b[j, SINE],
        a[i, COSINE] * b[j, COSINE] + a[i, SINE] * b[j, SINE],
        a[i, SINE] * b[j, COSINE] - a[i, COSINE] * b[j, SINE],
        a[i, HALF_LENGTH],
        a[i, HALF_WIDTH],
        b[j, HALF_LENGTH],
        b[j, HALF_WIDTH],
    )
    return min(area, smaller) if area > NO_OVERLAP * smaller else 0.0


@kernel
def _area(
    x: float, y: float, cosine: float, sine: float, a_length: float, a_width: float, b_length: float, b_width: float
) -> float:
    """Overlap of a box at (x, y), turned by (cosine, sine), with an axis-aligned one at 0. Sizes are half sizes."""
    ux, uy = a_length * cosine, a_length * sine  # centre to the middle of a's front
    vx, vy = -a_width * sine, a_width * cosine  # centre to the middle of a's left side
    right_x, right_y = x - vx, y - vy
    left_x, left_y = x + vx, y + vy
    along = sine / cosine if cosine != 0.0 else 0.0  # dy / dx of the sides
    across = -cosine / sine if sine != 0.0 else 0.0  # dy / dx of front and back
    area = _under_edge(right_x - ux, right_y - uy, right_x + ux, right_y + uy, along, b_length, b_width)
    area += _under_edge(right_x + ux, right_y + uy, left_x + ux, left_y + uy, across, b_length, b_width)
    area += _under_edge(left_x + ux, left_y + uy, left_x - ux, left_y - uy, along, b_length, b_width)
    area += _under_edge(left_x - ux, left_y - uy, right_x - ux, right_y - uy, across, b_length, b_width)
    return -area  # the edges run counter-clockwise


@kernel
def _under_edge(x0: float, y0: float, x1: float, y1: float, slope: float, length: float, width: float) -> float:
    """Integral of clamp(y, -width, width) dx along the edge, where |x| <= length."""
    xa, xb = min(max(x0, -length), length), min(max(x1, -length), length)
    if xa == xb:
        return 0.0
    ya = y0 + (xa - x0) * slope
    yb = y1 + (xb - x1) * slope
    low, high = min(ya, yb), max(ya, yb)
    clamped_low, clamped_high = min(max(low, -width), width), min(max(high, -width), width)
    if clamped_low == clamped_high:
        return clamped_low * (xb - xa)
    below, above = max(-width - low, 0.0), max(high - width, 0.0)
    span = high - low
    middle = (span - below - above) * (0.5 * (clamped_low + clamped_high))
    return (width * (above - below) + middle) / span * (xb - xa)
