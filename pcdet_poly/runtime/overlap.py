"""Area that rotated boxes share, over numpy arrays: one box against many.

The steps, and their order, are those of ops/arrays/rotated_overlap.py, so that both give the same numbers: the common
area is the integral, along one box, of the stretch of the other's width that lies inside (Green's theorem).
"""

from __future__ import annotations

import numpy as np

Array = np.ndarray
X, Y, LENGTH, WIDTH, COSINE, SINE, RADIUS = range(7)
_HALF_PI = 1.5707963267948966
_NO_OVERLAP = 1e-11  # share of the smaller box that is rounding


def prepare_boxes(box: Array) -> Array:
    """Convert boxes (N, 7) to columns (7, N) float64: centre, length, width, cosine and sine, radius around them."""
    x, y, _, length, width, _, heading_rad = box.T.astype(np.float64)
    quadrant = np.rint(heading_rad / _HALF_PI)
    along_axes = np.float32(quadrant * _HALF_PI) == heading_rad  # such a box lies exactly along the axes
    angle = np.where(along_axes, quadrant * _HALF_PI, heading_rad)
    cosine, sine = np.cos(angle), np.sin(angle)
    cosine, sine = (np.where(along_axes, np.rint(values), values) for values in (cosine, sine))
    return np.stack([x, y, length, width, cosine, sine, 0.5 * np.sqrt(length * length + width * width)])


def measure_overlaps(one: Array, many: Array) -> Array:
    """Measure the bird's-eye IoU of a prepared box (7,) with others (7, M): (M,) float32."""
    area = _measure_areas(one, many)
    size, sizes = one[LENGTH] * one[WIDTH], many[LENGTH] * many[WIDTH]
    smaller = np.minimum(size, sizes)
    real = (size > 0) & (sizes > 0) & (area > _NO_OVERLAP * smaller)
    area = np.where(real, np.minimum(area, smaller), 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(area > 0, area / (size + sizes - area), 0.0).astype(np.float32)


def _measure_areas(a: Array, b: Array) -> Array:
    dx, dy = b[X] - a[X], b[Y] - a[Y]
    x, y = dx * a[COSINE] + dy * a[SINE], dy * a[COSINE] - dx * a[SINE]  # the others' centres in the box's frame
    cosine = a[COSINE] * b[COSINE] + a[SINE] * b[SINE]
    sine = a[COSINE] * b[SINE] - a[SINE] * b[COSINE]
    front_x, front_y = 0.5 * b[LENGTH] * cosine, 0.5 * b[LENGTH] * sine
    side_x, side_y = -0.5 * b[WIDTH] * sine, 0.5 * b[WIDTH] * cosine
    with np.errstate(divide="ignore", invalid="ignore"):
        along = np.where(cosine != 0, sine / cosine, 0.0)
        across = np.where(sine != 0, -cosine / sine, 0.0)
    corner_x = [(x - side_x) - front_x, (x - side_x) + front_x, (x + side_x) + front_x, (x + side_x) - front_x]
    corner_y = [(y - side_y) - front_y, (y - side_y) + front_y, (y + side_y) + front_y, (y + side_y) - front_y]
    total = np.zeros_like(x)
    for i, slope in enumerate((along, across, along, across)):
        j = (i + 1) % 4
        start, end = (corner_x[i], corner_y[i]), (corner_x[j], corner_y[j])
        total = total + _integrate_edges(start, end, slope, 0.5 * a[LENGTH], 0.5 * a[WIDTH])
    return np.maximum(0.0, -total)


def _integrate_edges(
    begin: tuple[Array, Array], end: tuple[Array, Array], slope: Array, length: float, width: float
) -> Array:
    """Integrate clamp(y, -width, width) dx along edges, where |x| <= length."""
    x0, x1 = np.clip(begin[0], -length, length), np.clip(end[0], -length, length)
    y0, y1 = begin[1] + (x0 - begin[0]) * slope, end[1] + (x1 - end[0]) * slope
    low, high = np.minimum(y0, y1), np.maximum(y0, y1)
    clamped_low, clamped_high = np.clip(low, -width, width), np.clip(high, -width, width)
    below, above = np.maximum(-width - low, 0.0), np.maximum(high - width, 0.0)
    span = high - low
    inside = (span - below - above) * (0.5 * (clamped_low + clamped_high))
    with np.errstate(divide="ignore", invalid="ignore"):
        slanted = (width * (above - below) + inside) / span * (x1 - x0)
    return np.where(x0 == x1, 0.0, np.where(clamped_low == clamped_high, clamped_low * (x1 - x0), slanted))
