"""Intersection over union of rotated boxes, in bird's-eye view and in 3D.

Boxes are (x, y, z, length, width, height, heading). Computed in float64 from the float32 boxes and
rounded to float32 once; right on coincident edges, touching, nested and identical boxes. The float32
nearest to a multiple of pi / 2 counts as that multiple, so that boxes along the axes are exact. A box
with a size that is not positive, or with NaN or infinity, overlaps nothing, not even itself. The
result is the same on every device and has no gradient.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pcdet_poly.ops.dispatch import check_lengths, check_shape, define_operation, to_float_rows


def iou_bev(box_a: Tensor, box_b: Tensor) -> Tensor:
    """Bird's-eye IoU of every box of (N, 7) with every box of (M, 7) -> (N, M) float32."""
    _check_boxes("iou_bev", box_a, box_b)
    return torch.ops.pcdet_poly.pairwise_iou(to_float_rows(box_a), to_float_rows(box_b), False)


def iou_3d(box_a: Tensor, box_b: Tensor) -> Tensor:
    """3D IoU of every box of (N, 7) with every box of (M, 7) -> (N, M) float32."""
    _check_boxes("iou_3d", box_a, box_b)
    return torch.ops.pcdet_poly.pairwise_iou(to_float_rows(box_a), to_float_rows(box_b), True)


def iou_bev_matched(box_a: Tensor, box_b: Tensor) -> Tensor:
    """Bird's-eye IoU of box_a[i] with box_b[i], both (N, 7) -> (N,) float32."""
    return _measure_matched(box_a, box_b, with_height=False)


def iou_3d_matched(box_a: Tensor, box_b: Tensor) -> Tensor:
    """3D IoU of box_a[i] with box_b[i], both (N, 7) -> (N,) float32."""
    return _measure_matched(box_a, box_b, with_height=True)


def _measure_matched(box_a: Tensor, box_b: Tensor, *, with_height: bool) -> Tensor:
    operation = "iou_3d_matched" if with_height else "iou_bev_matched"
    _check_boxes(operation, box_a, box_b)
    check_lengths(operation, box_a=box_a, box_b=box_b)
    return torch.ops.pcdet_poly.matched_iou(to_float_rows(box_a), to_float_rows(box_b), with_height)


def _check_boxes(operation: str, box_a: Tensor, box_b: Tensor) -> None:
    check_shape(operation, "box_a", box_a, "N 7")
    check_shape(operation, "box_b", box_b, "M 7")


def _pairwise_fake(box_a: Tensor, box_b: Tensor, with_height: bool) -> Tensor:
    return box_a.new_empty(len(box_a), len(box_b))


def _matched_fake(box_a: Tensor, box_b: Tensor, with_height: bool) -> Tensor:
    return box_a.new_empty(len(box_a))


define_operation(
    "pairwise_iou(Tensor box_a, Tensor box_b, bool with_height) -> Tensor", file="iou", fake=_pairwise_fake
)
define_operation("matched_iou(Tensor box_a, Tensor box_b, bool with_height) -> Tensor", file="iou", fake=_matched_fake)
