"""Intersection over union as a loss, with gradients."""

from __future__ import annotations

import torch
from torch import Tensor


def aligned_iou_loss(offset: Tensor, size: Tensor, target_offset: Tensor, target: Tensor) -> Tensor:
    """1 - 3D IoU of boxes with their targets as if both had the target's heading: (N,), in [0, 1].

    Rotated boxes' IoU has a gradient that jumps where corners cross edges, and heading has losses of its
    own; with one heading the overlap is a product of three lengths, seen along the target's own axes.
    Equal to the rotated IoU where the headings are. The gradient is 0 where boxes do not meet.

    Args:
        offset: (N, 3) from any place to the predicted box's centre, metres.
        size: (N, 3) predicted length, width, height, metres, > 0.
        target_offset: (N, 3) from the same place to the target's centre.
        target: (N, 7) boxes; sizes and heading are read.
    """
    cos, sin = target[:, 6].cos(), target[:, 6].sin()
    dx, dy, dz = (offset - target_offset).unbind(dim=1)
    apart = torch.stack([dx * cos + dy * sin, dy * cos - dx * sin, dz], dim=1).abs()  # along the target's axes
    wanted = target[:, 3:6]
    common = torch.minimum(torch.minimum((size + wanted) / 2 - apart, size), wanted).clamp(min=0)  # (N, 3) lengths
    intersection = common.prod(dim=1)
    return 1 - intersection / (size.prod(dim=1) + wanted.prod(dim=1) - intersection)
