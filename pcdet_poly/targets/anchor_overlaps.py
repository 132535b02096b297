"""Anchors and objects of one class -> their bird's-eye overlaps as axis-aligned boxes.

Boxes are compared as if they stood along the axes: one whose heading is nearer to y than to x has its
length along y. That overlap is a product of two intervals', and it is zero beyond half the sum of the
sides, so only the few anchors around an object are looked at: some 100,000 pairs of anchor and object in
a full Waymo frame, out of 1.3 million x 200.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from pcdet_poly.config.sections.pointpillars import AnchorConfig
from pcdet_poly.targets.anchor_grid import AnchorGrid
from pcdet_poly.targets.labelled_boxes import LabelledBoxes


class AnchorOverlaps(NamedTuple):
    """Q pairs of an anchor and an object of one class that may overlap, object by object."""

    anchor: Tensor  # (Q,) int64, frame * N + the anchor's number
    object: Tensor  # (Q,) int64, position in the table of objects
    iou: Tensor  # (Q,) float64, or float32 where the anchors are compared in it


def find_overlaps(anchors: AnchorGrid, label: int, objects: LabelledBoxes) -> AnchorOverlaps:
    """Find all pairs of an object and an anchor of its class that overlap, and a few that just do not.

    Args:
        anchors: the anchors of each frame.
        label: class in [0, K).
        objects: boxes of all frames, vehicle frame; only those of the class are compared.

    Returns:
        The pairs, for one yaw after the other.
    """
    index = (objects.label == label).nonzero().squeeze(1)
    centre, half = _align_to_axes(objects.box[index].double())
    parts = []
    for yaw, yaw_rad in enumerate(anchors.yaws_rad):
        own_half = half.new_tensor(_halve_sides(anchors.classes[label], yaw_rad))
        column, row, which = _find_cells_in_reach(anchors, centre, half + own_half)
        compute_iou = _compute_iou_float32 if anchors.overlaps_in_float32 else _compute_iou
        iou = compute_iou(anchors, column, row, own_half, centre[which], half[which])
        number = (row * anchors.columns + column) * anchors.per_cell + label * len(anchors.yaws_rad) + yaw
        parts.append(AnchorOverlaps(objects.frame[index][which] * len(anchors) + number, index[which], iou))
    return AnchorOverlaps(*(torch.cat(columns) for columns in zip(*parts, strict=True)))


def _find_cells_in_reach(anchors: AnchorGrid, centre: Tensor, reach: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Column, row and position in `centre` (M, 2) of every cell whose anchors lie within `reach` (M, 2) of it."""
    first, step = centre.new_tensor(anchors.first), centre.new_tensor(anchors.step)
    limit = centre.new_tensor([anchors.columns, anchors.rows])
    low = ((centre - reach - first) / step).floor().clamp_min(0).minimum(limit).long()
    high = ((centre + reach - first) / step).ceil().clamp_min(-1).minimum(limit - 1).long()
    width, height = (high - low + 1).clamp_min(0).unbind(1)
    count = width * height
    which = torch.repeat_interleave(count)
    rank = torch.arange(len(which), device=count.device) - (count.cumsum(0) - count)[which]
    column = low[which, 0] + rank % width[which]
    row = low[which, 1] + rank // width[which]
    return column, row, which


def _compute_iou(
    anchors: AnchorGrid, column: Tensor, row: Tensor, own_half: Tensor, centre: Tensor, half: Tensor
) -> Tensor:
    """(Q,) IoU of anchors at cells with axis-aligned boxes; sides are given by their halves."""
    anchor_centre = torch.stack([column, row], 1) * centre.new_tensor(anchors.step) + centre.new_tensor(anchors.first)
    upper = torch.minimum(anchor_centre + own_half, centre + half)
    sides = upper - torch.maximum(anchor_centre - own_half, centre - half)
    intersection = sides.clamp_min(0).prod(1)
    return intersection / (4 * own_half.prod() + 4 * half.prod(1) - intersection)


def _compute_iou_float32(
    anchors: AnchorGrid, column: Tensor, row: Tensor, own_half: Tensor, centre: Tensor, half: Tensor
) -> Tensor:
    """(Q,) float32 IoU as OpenPCDet rounds it: float32 places and corners, areas from the corners."""
    places = [anchors.round_places(axis).to(centre.device)[index] for axis, index in enumerate((column, row))]
    place, centre, half = torch.stack(places, 1), centre.float(), half.float()
    own_half = own_half.float()
    low, high, own_low, own_high = centre - half, centre + half, place - own_half, place + own_half
    sides = (torch.minimum(own_high, high) - torch.maximum(own_low, low)).clamp_min(0)
    intersection = sides[:, 0] * sides[:, 1]
    own_side, side = own_high - own_low, high - low
    union = own_side[:, 0] * own_side[:, 1] + side[:, 0] * side[:, 1] - intersection
    return intersection / union.clamp_min(1e-6)


def _halve_sides(anchor: AnchorConfig, yaw_rad: float) -> tuple[float, float]:
    """Half of an anchor's extent along x and y, turned to the nearest axis."""
    length, width, _ = anchor.size
    return (width / 2, length / 2) if abs(math.sin(yaw_rad)) > abs(math.cos(yaw_rad)) else (length / 2, width / 2)


def _align_to_axes(box: Tensor) -> tuple[Tensor, Tensor]:
    """Centre (M, 2) and half of the extent along x and y (M, 2), headings turned to the nearest axis."""
    across = box[:, 6].sin().abs() > box[:, 6].cos().abs()
    half = torch.where(across[:, None], box[:, [4, 3]], box[:, [3, 4]]) / 2
    return box[:, :2], half
