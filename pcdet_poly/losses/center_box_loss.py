"""Boxes at object cells: L1 on their codes, cross-entropy on heading bins, L1 on their IoU and velocity."""

from __future__ import annotations

import torch
from torch import Tensor

from pcdet_poly.ops.center_code import decode_boxes
from pcdet_poly.ops.heading_bins import heading_of, heading_to_bin
from pcdet_poly.ops.iou import iou_3d_matched
from pcdet_poly.structures import Grid


def at_cells(maps: Tensor, frame: Tensor, cell: Tensor) -> Tensor:
    """Values of `maps` (B, C, H, W) at cell = y * W + x of each frame: (N,), (N,) -> (N, C)."""
    return maps.flatten(2)[frame, :, cell]


def l1(prediction: Tensor, target: Tensor) -> Tensor:
    """|prediction - target|, elementwise, in float32 (float64 for float64). Gradient +-1, 0 at equality."""
    difference = prediction - target
    return (difference if difference.dtype.itemsize >= 4 else difference.float()).abs()


def known_l1(prediction: Tensor, target: Tensor) -> Tensor:
    """As `l1`, both (N, C); 0 without a gradient in rows where a `target` is not finite."""
    known = target.isfinite().all(dim=1, keepdim=True)
    return torch.where(known, l1(prediction, torch.where(known, target, 0.0)), 0.0)


def code_distance(prediction: Tensor, target: Tensor) -> Tensor:
    """Codes (N, 6 + C) as CenterMaps.box_code has them, and targets (N, 8) as CenterTargets.code -> (N, 8).

    L1, but with heading bins (C > 2) the last two are those of `heading_bin_loss`.
    """
    if prediction.shape[1] == target.shape[1]:
        return l1(prediction, target)
    heading = heading_bin_loss(prediction[:, 6:], heading_of(target[:, 6:]))
    return torch.cat([l1(prediction[:, :6], target[:, :6]), heading], dim=1)


def heading_bin_loss(channels: Tensor, heading_rad: Tensor) -> Tensor:
    """Logits and residuals of n bins (N, 2 n), headings (N,) -> (N, 2): cross-entropy of the heading's bin, and L1 of
    that bin's residual, in bins."""
    logit, residual = channels.float().chunk(2, dim=1)
    sector, wanted = heading_to_bin(heading_rad, logit.shape[1])
    cross_entropy = -logit.log_softmax(dim=1).gather(1, sector[:, None])
    return torch.cat([cross_entropy, l1(residual.gather(1, sector[:, None]), wanted[:, None])], dim=1)


@torch.no_grad()
def iou_target(prediction: Tensor, target: Tensor, cell: Tensor, grid: Grid) -> Tensor:
    """2 IoU - 1 in [-1, 1], (N,), of the 3D boxes of two codes, as `code_distance` takes them, at `cell` (N,)."""
    found, wanted = decode_boxes(prediction.float(), cell, grid), decode_boxes(target, cell, grid)
    return 2 * iou_3d_matched(found, wanted) - 1
