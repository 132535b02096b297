"""Losses of RSN's boxes: cross-entropy and smooth L1 on codes, and 1 - IoU."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from pcdet_poly.losses.anchor_box_loss import smooth_l1
from pcdet_poly.ops.center_box_coder import SizeCode, decode_sizes, encode_sizes
from pcdet_poly.ops.heading_bins import encode_heading_bin
from pcdet_poly.structures import RsnMaps


def rsn_box_losses(
    maps: RsnMaps, voxel: Tensor, box: Tensor, *, beta: float, sizes: SizeCode = "log"
) -> dict[str, Tensor]:
    """Losses of the boxes that are predicted at N voxels.

    "heading" is the cross-entropy of the sector plus the smooth L1 of the residual in the right one, "box" the
    sum of smooth L1 over centre (metres) and sizes, "iou" 1 - IoU with the headings taken as equal.

    Args:
        maps: output of the network.
        voxel: (N,) int64, positions in the V voxels of `maps`.
        box: (N, 7) their targets, vehicle frame.
        beta: residual from which on smooth L1 is linear.
        sizes: whether `maps` has logarithms of sizes in metres, or the sizes.

    Returns:
        (N,) float32 per name.
    """
    offset, size, heading = (values[voxel].float() for values in (maps.offset, maps.size, maps.heading))
    logits, residuals = heading.chunk(2, dim=1)
    sector, residual = encode_heading_bin(box[:, 6], logits.shape[1])
    in_sector = residuals.gather(1, sector[:, None])[:, 0]
    target_offset = box[:, :3] - maps.centre[voxel]
    difference = torch.cat([offset - target_offset, size - encode_sizes(box[:, 3:6], sizes)], dim=1)
    return {
        "heading": cross_entropy(logits, sector, reduction="none") + smooth_l1(in_sector - residual, beta=beta),
        "box": smooth_l1(difference, beta=beta).sum(dim=1),
        "iou": aligned_iou_loss(offset, decode_sizes(size, sizes), target_offset, box),
    }


def aligned_iou_loss(offset: Tensor, size: Tensor, target_offset: Tensor, target: Tensor) -> Tensor:
    """1 - 3D IoU of boxes with their targets as if both had the target's heading.

    The IoU of rotated boxes has a gradient that jumps where corners cross edges, and heading has losses of its
    own. With one heading the overlap is a product of three lengths, seen along the target's own axes. The loss
    equals that of the rotated IoU where the headings are equal. The gradient is 0 where boxes do not meet.

    Args:
        offset: (N, 3) from any point to the predicted box's centre, metres.
        size: (N, 3) predicted length, width, height, metres, > 0.
        target_offset: (N, 3) from the same point to the target's centre, metres.
        target: (N, 7) boxes, of which sizes and heading are read.

    Returns:
        (N,) in [0, 1].
    """
    cos, sin = target[:, 6].cos(), target[:, 6].sin()
    dx, dy, dz = (offset - target_offset).unbind(dim=1)
    apart = torch.stack([dx * cos + dy * sin, dy * cos - dx * sin, dz], dim=1).abs()  # along the target's axes
    target_size = target[:, 3:6]
    common = torch.minimum(torch.minimum((size + target_size) / 2 - apart, size), target_size).clamp(min=0)  # (N, 3)
    intersection = common.prod(dim=1)
    return 1 - intersection / (size.prod(dim=1) + target_size.prod(dim=1) - intersection)
