"""Which points lie in which boxes."""

from __future__ import annotations

import torch
from torch import Tensor

from pcdet_poly.ops.cpu import points_in_boxes as cpu


def points_in_boxes(points: Tensor, box: Tensor) -> Tensor:
    """Points (P, 3+), boxes (N, 7) -> (P,) int64: the first box around each point, or -1. Faces belong to a box."""
    return torch.from_numpy(cpu.first_box(points.float().contiguous().numpy(), box.float().contiguous().numpy()))


def count_points(points: Tensor, box: Tensor) -> Tensor:
    """Points (P, 3+), boxes (N, 7) -> (N,) int64: points in each box, whatever other boxes they lie in."""
    return torch.from_numpy(cpu.count_points(points.float().contiguous().numpy(), box.float().contiguous().numpy()))
