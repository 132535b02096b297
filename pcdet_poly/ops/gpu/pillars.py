"""The operations of ops/pillars.py in plain torch: for any device, with torch's own gradients."""

from __future__ import annotations

import torch
from torch import Tensor

from pcdet_poly.ops.scatter import scatter_max, scatter_mean


def decorate(points: Tensor, voxel_of_point: Tensor, of_row: Tensor, centre: Tensor) -> Tensor:
    """Points (P, C) -> (K, C + 7) sorted by pillar."""
    kept = voxel_of_point.argsort(stable=True)[len(points) - len(of_row) :]  # -1 comes first
    points, xyz = points[kept], points[kept, :3]
    mean = scatter_mean(xyz, of_row, len(centre))
    return torch.cat([points, xyz - mean[of_row], xyz - centre[of_row], points.new_ones(len(points), 1)], dim=1)


def linear_relu_pool(
    inputs: Tensor, weight: Tensor, shift: Tensor, of_row: Tensor, *, with_product: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Values (K, C), their sum and maximum (V, C) over each pillar, and their product (C, C) or zeros."""
    values = (inputs @ weight.T + shift[of_row]).relu()
    total = torch.zeros_like(shift).index_add(0, of_row, values)
    outer = product(values) if with_product else values.new_zeros(2 * shift.shape[1:], dtype=torch.float64)
    return values, total, scatter_max(values, of_row, len(shift)), outer


def linear_max(inputs: Tensor, weight: Tensor, of_row: Tensor, num_pillars: int) -> Tensor:
    """Maximum over each pillar of inputs @ weight.T: (V, C)."""
    return scatter_max(inputs @ weight.T, of_row, num_pillars)


def product(values: Tensor) -> Tensor:
    """values.T @ values in float64."""
    return values.double().T @ values.double()
