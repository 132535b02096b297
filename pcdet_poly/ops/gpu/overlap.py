"""Overlap of rotated boxes in Triton: the steps of ops/arrays/rotated_overlap.py and overlap.py, which explain them.

Launch every kernel that uses this with `enable_fp_fusion=False`, or its bits differ from the CPU's.
"""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
# (Triton's kernels take blocks, for which there is no type.)
from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from pcdet_poly.ops import precision
from pcdet_poly.ops.gpu.rotation import cos_sin

NO_OVERLAP = tl.constexpr(precision.NO_OVERLAP)
FINITE = tl.constexpr(precision.FINITE)
COLUMNS = tl.constexpr(9)  # of prepared boxes: x, y, z, length, width, height, cosine, sine, radius


def prepare_boxes(box: Tensor) -> Tensor:
    """Convert boxes (N, 7) float32 to (N, 9) float64."""
    prepared = box.new_empty(len(box), COLUMNS.value, dtype=torch.float64)
    if len(box):
        _prepare_boxes[(triton.cdiv(len(box), 128),)](box, prepared, len(box), BLOCK=128, enable_fp_fusion=False)
    return prepared


@triton.jit
def _prepare_boxes(box, prepared, num_boxes, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = i < num_boxes
    for column in tl.static_range(6):
        value = tl.load(box + i * 7 + column, mask=inside, other=0.0)
        tl.store(prepared + i * COLUMNS + column, value.to(tl.float64), mask=inside)
    cosine, sine = cos_sin(tl.load(box + i * 7 + 6, mask=inside, other=0.0))
    length = tl.load(box + i * 7 + 3, mask=inside, other=0.0).to(tl.float64)
    width = tl.load(box + i * 7 + 4, mask=inside, other=0.0).to(tl.float64)
    tl.store(prepared + i * COLUMNS + 6, cosine, mask=inside)
    tl.store(prepared + i * COLUMNS + 7, sine, mask=inside)
    tl.store(prepared + i * COLUMNS + 8, 0.5 * tl.sqrt(length * length + width * width), mask=inside)


@triton.jit
def prepared_pair_iou(a, i, b, j, inside, WITH_HEIGHT: tl.constexpr):
    """IoU of two boxes where `inside`, else 0.

    Args:
        a: pointer to prepared boxes.
        i: block of integers, which of a.
        b: pointer to prepared boxes.
        j: block of integers, which of b.
        inside: block of bool.
        WITH_HEIGHT: 3D IoU rather than bird's-eye.

    Returns:
        Block of float64.
    """
    xa, ya, la, wa, cos_a, sin_a, radius_a = _load_footprint(a, i, inside)
    xb, yb, lb, wb, cos_b, sin_b, radius_b = _load_footprint(b, j, inside)
    dx, dy, reach = xb - xa, yb - ya, radius_a + radius_b
    near = inside & (dx * dx + dy * dy < reach * reach) & (la > 0) & (wa > 0) & (lb > 0) & (wb > 0)
    area = _rotated_rectangle_overlap(dx, dy, la, wa, cos_a, sin_a, lb, wb, cos_b, sin_b)
    size_a, size_b = la * wa, lb * wb
    smaller = tl.minimum(size_a, size_b)
    shared = tl.where(near & (area > NO_OVERLAP * smaller), tl.minimum(area, smaller), 0.0)
    if WITH_HEIGHT:
        za, ha = _load_height(a, i, inside)
        zb, hb = _load_height(b, j, inside)
        shared *= tl.minimum(za + 0.5 * ha, zb + 0.5 * hb) - tl.maximum(za - 0.5 * ha, zb - 0.5 * hb)
        size_a, size_b = size_a * ha, size_b * hb
        near = (size_a > 0) & (size_a < FINITE) & (size_b > 0) & (size_b < FINITE) & (tl.abs(za - zb) < FINITE)
        shared = tl.where(near, shared, 0.0)
    found = shared > 0
    return tl.where(found, shared / tl.where(found, size_a + size_b - shared, 1.0), 0.0)


@triton.jit
def _load_footprint(boxes, i, inside):
    row = boxes + i * COLUMNS
    x, y = tl.load(row, mask=inside, other=0.0), tl.load(row + 1, mask=inside, other=0.0)
    length, width = tl.load(row + 3, mask=inside, other=0.0), tl.load(row + 4, mask=inside, other=0.0)
    cosine, sine = tl.load(row + 6, mask=inside, other=0.0), tl.load(row + 7, mask=inside, other=0.0)
    return x, y, length, width, cosine, sine, tl.load(row + 8, mask=inside, other=0.0)


@triton.jit
def _load_height(boxes, i, inside):
    z = tl.load(boxes + i * COLUMNS + 2, mask=inside, other=0.0)
    return z, tl.load(boxes + i * COLUMNS + 5, mask=inside, other=0.0)


@triton.jit
def _rotated_rectangle_overlap(dx, dy, a_length, a_width, cos_a, sin_a, b_length, b_width, cos_b, sin_b):
    x, y = dx * cos_a + dy * sin_a, dy * cos_a - dx * sin_a
    cosine, sine = cos_a * cos_b + sin_a * sin_b, cos_a * sin_b - sin_a * cos_b
    front_x, front_y = 0.5 * b_length * cosine, 0.5 * b_length * sine
    side_x, side_y = -0.5 * b_width * sine, 0.5 * b_width * cosine
    along = tl.where(cosine != 0, sine / tl.where(cosine != 0, cosine, 1.0), 0.0)
    across = tl.where(sine != 0, -cosine / tl.where(sine != 0, sine, 1.0), 0.0)
    length, width = 0.5 * a_length, 0.5 * a_width
    x0, y0 = (x - side_x) - front_x, (y - side_y) - front_y
    x1, y1 = (x - side_x) + front_x, (y - side_y) + front_y
    x2, y2 = (x + side_x) + front_x, (y + side_y) + front_y
    x3, y3 = (x + side_x) - front_x, (y + side_y) - front_y
    right = _integrate_edge(x0, y0, x1, y1, along, length, width)
    front = _integrate_edge(x1, y1, x2, y2, across, length, width)
    left = _integrate_edge(x2, y2, x3, y3, along, length, width)
    back = _integrate_edge(x3, y3, x0, y0, across, length, width)
    return tl.maximum(0.0, -(((right + front) + left) + back))


@triton.jit
def _integrate_edge(x0, y0, x1, y1, slope, length, width):
    start, end = tl.minimum(tl.maximum(x0, -length), length), tl.minimum(tl.maximum(x1, -length), length)
    y_start, y_end = y0 + (start - x0) * slope, y1 + (end - x1) * slope
    low, high = tl.minimum(y_start, y_end), tl.maximum(y_start, y_end)
    clamped_low = tl.minimum(tl.maximum(low, -width), width)
    clamped_high = tl.minimum(tl.maximum(high, -width), width)
    level = clamped_low == clamped_high
    below, above = tl.maximum(-width - low, 0.0), tl.maximum(high - width, 0.0)
    span = high - low
    inside = (span - below - above) * (0.5 * (clamped_low + clamped_high))
    mean = tl.where(level, clamped_low, (width * (above - below) + inside) / tl.where(level, 1.0, span))
    return tl.where(start == end, 0.0, mean * (end - start))
