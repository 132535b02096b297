"""Which points lie in which boxes.

A point lies in a box if, along each of the box's own axes, it is within half a size of the centre, in
float64; the faces belong to the box. NaN and infinity lie nowhere, a box with a negative size holds
nothing. The result is the same on every device.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pcdet_poly.ops.dispatch import check_shape, define_operation, to_float_rows


def points_in_boxes(points: Tensor, box: Tensor) -> Tensor:
    """Find the first box around each point: points (P, 3+), boxes (N, 7) -> (P,) int64, or -1."""
    check_shape("points_in_boxes", "points", points, "P 3+")
    check_shape("points_in_boxes", "box", box, "N 7")
    return torch.ops.pcdet_poly.first_box(to_float_rows(points), to_float_rows(box))


def count_points(points: Tensor, box: Tensor) -> Tensor:
    """Count the points (P, 3+) in each box (N, 7), whatever other boxes they lie in -> (N,) int64."""
    check_shape("count_points", "points", points, "P 3+")
    check_shape("count_points", "box", box, "N 7")
    return torch.ops.pcdet_poly.count_points(to_float_rows(points), to_float_rows(box))


def _first_fake(points: Tensor, box: Tensor) -> Tensor:
    return points.new_empty(len(points), dtype=torch.int64)


def _count_fake(points: Tensor, box: Tensor) -> Tensor:
    return box.new_empty(len(box), dtype=torch.int64)


define_operation("first_box(Tensor points, Tensor box) -> Tensor", file="points_in_boxes", fake=_first_fake)
define_operation("count_points(Tensor points, Tensor box) -> Tensor", file="points_in_boxes", fake=_count_fake)
