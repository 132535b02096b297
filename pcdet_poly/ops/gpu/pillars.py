"""The operations of ops/pillars.py in plain torch: for any device, with torch's own gradients."""

from __future__ import annotations

import torch
from torch import Tensor

from pcdet_poly.structures.pillars import Pillars


def decorate_points(points: Tensor, voxel_of_point: Tensor, pillars: Pillars, centre: Tensor) -> Tensor:
    """Sort points by pillar and append offsets from the pillar's mean and centre, and 1.

    Args:
        points: (P, C) float32, x, y, z first, metres.
        voxel_of_point: (P,) int64 pillar of each point, or -1.
        pillars: where each pillar's rows are to be.
        centre: (V, 3) float32, metres.

    Returns:
        (K, C + 7) float32.
    """
    row = pillars.pillar_of_row
    kept = voxel_of_point.argsort(stable=True)[len(points) - len(row) :]  # -1 comes first
    points, xyz = points[kept], points[kept, :3]
    mean, _ = torch.ops.pcdet_poly.segment_mean(xyz.float().contiguous(), row, len(centre))
    mean = mean.to(xyz.dtype)
    return torch.cat([points, xyz - mean[row], xyz - centre[row], points.new_ones(len(points), 1)], dim=1)


def linear_relu_pool(
    inputs: Tensor, weight: Tensor, shift: Tensor, pillars: Pillars, *, with_product: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Values (K, C), their sum and maximum (V, C) over each pillar, and their Gram matrix (C, C) or zeros.

    Args:
        inputs: (K, I).
        weight: (C, I).
        shift: (V, C).
        pillars: where each pillar's rows are.
        with_product: whether the Gram matrix is asked for.

    Returns:
        Values, sum, maximum, Gram matrix.
    """
    row = pillars.pillar_of_row
    values = (inputs @ weight.T + shift[row]).relu()
    total = torch.zeros_like(shift).index_add(0, row, values)
    outer = gram_matrix(values) if with_product else values.new_zeros(2 * shift.shape[1:], dtype=torch.float64)
    return values, total, _find_maximum(values, row, len(shift)), outer


def linear_max(inputs: Tensor, weight: Tensor, pillars: Pillars) -> Tensor:
    """Maximum over each pillar of inputs @ weight.T.

    Args:
        inputs: (K, I).
        weight: (C, I).
        pillars: where each pillar's rows are.

    Returns:
        (V, C).
    """
    return _find_maximum(inputs @ weight.T, pillars.pillar_of_row, len(pillars))


def gram_matrix(values: Tensor) -> Tensor:
    """values.T @ values in float64."""
    return values.double().T @ values.double()


def _find_maximum(values: Tensor, row: Tensor, num_pillars: int) -> Tensor:
    """Find the maximum (V, C) of values (K, C) over each pillar, with the gradient of ops/scatter.py."""
    highest: Tensor = torch.ops.pcdet_poly.segment_max(values.float().contiguous(), row, num_pillars)
    return highest.to(values.dtype)
