"""Losses of a centre head's boxes: L1 on codes, velocity and IoU, cross-entropy on heading bins, DIoU."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from pcdet_poly.losses.center.iou_regression import aligned_diou, rotated_diou
from pcdet_poly.ops.center_box_coder import decode_center_boxes
from pcdet_poly.ops.heading_bins import decode_heading, encode_heading_bin
from pcdet_poly.ops.iou import iou_3d_matched
from pcdet_poly.structures import CenterTargets, Grid


def gather_cells(maps: Tensor, frame: Tensor, cell: Tensor) -> Tensor:
    """The values of maps at N cells.

    Args:
        maps: (B, C, H, W).
        frame: (N,) int64 in [0, B).
        cell: (N,) int64, y * W + x.

    Returns:
        (N, C), type of `maps`.
    """
    return maps.flatten(2)[frame, :, cell]


def l1(prediction: Tensor, target: Tensor) -> Tensor:
    """|prediction - target|, elementwise, in float32 (float64 for float64). The gradient is +-1, 0 at equality."""
    difference = prediction - target
    return (difference if difference.dtype.itemsize >= 4 else difference.float()).abs()


def l1_where_finite(prediction: Tensor, target: Tensor) -> Tensor:
    """As `l1`, both (N, C), but 0 and without a gradient in rows whose `target` is not finite."""
    finite = target.isfinite().all(dim=1, keepdim=True)
    return torch.where(finite, l1(prediction, torch.where(finite, target, 0.0)), 0.0)


def center_code_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """Loss of each element of codes (N, 6 + C), as CenterMaps.box_code has them, against CenterTargets.code (N, 8).

    Every element has its L1 distance; with heading bins (C > 2) the last two are those of `heading_bin_loss`.
    """
    if prediction.shape[1] == target.shape[1]:
        return l1(prediction, target)
    heading = heading_bin_loss(prediction[:, 6:], decode_heading(target[:, 6:]))
    return torch.cat([l1(prediction[:, :6], target[:, :6]), heading], dim=1)


def heading_bin_loss(channels: Tensor, heading_rad: Tensor) -> Tensor:
    """Cross-entropy of the heading's bin, and L1 of the residual in that bin, in bins: (N, 2).

    `channels` (N, 2 n) are the logits of n bins, then their residuals; `heading_rad` is (N,).
    """
    logit, residual = channels.float().chunk(2, dim=1)
    sector, target = encode_heading_bin(heading_rad, logit.shape[1])
    cross_entropy = -logit.log_softmax(dim=1).gather(1, sector[:, None])
    return torch.cat([cross_entropy, l1(residual.gather(1, sector[:, None]), target[:, None])], dim=1)


@torch.no_grad()
def center_iou_target(prediction: Tensor, targets: CenterTargets, grid: Grid) -> Tensor:
    """2 IoU - 1 in [-1, 1] of the 3D boxes that a head predicts at the objects' cells with the objects' own boxes.

    Args:
        prediction: (N, 6 + C) as CenterMaps.box_code has it.
        targets: N objects.
        grid: cells of the output map, metres, vehicle frame.

    Returns:
        (N,) float32, without a gradient.
    """
    return 2 * iou_3d_matched(*pair_boxes(prediction, targets, grid)) - 1


def center_iou_regression_loss(
    prediction: Tensor, targets: CenterTargets, grid: Grid, kind: Literal["aligned", "rotated"]
) -> Tensor:
    """1 - DIoU of the 3D boxes that a head predicts at the objects' cells with the objects' own boxes.

    Args:
        prediction: (N, 6 + C) as CenterMaps.box_code has it.
        targets: N objects.
        grid: cells of the output map, metres, vehicle frame.
        kind: whether headings count ("rotated").

    Returns:
        (N,) float32 in [0, 2].
    """
    measure = rotated_diou if kind == "rotated" else aligned_diou
    return 1 - measure(*pair_boxes(prediction, targets, grid))


def pair_boxes(prediction: Tensor, targets: CenterTargets, grid: Grid) -> tuple[Tensor, Tensor]:
    """Boxes that a head predicts at the objects' cells, and the objects' own, both (N, 7) float32.

    Args:
        prediction: (N, 6 + C) as CenterMaps.box_code has it.
        targets: N objects.
        grid: cells of the output map, metres, vehicle frame.
    """
    box = decode_center_boxes(targets.code, targets.cell, grid) if targets.box is None else targets.box
    return decode_center_boxes(prediction.float(), targets.cell, grid), box
