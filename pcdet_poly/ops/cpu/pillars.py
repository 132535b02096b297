"""The operations of ops/pillars.py on the CPU: points go through the layers in tiles that stay in cache."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from pcdet_poly.ops.cpu import pillar_kernels as kernels
from pcdet_poly.structures.pillars import Pillars

TILE = 8192  # points; 64 float32 channels of them are 2 MiB


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
    start = pillars.start.numpy()
    order = kernels.sort_points_by_pillar(voxel_of_point.numpy(), start)
    return torch.from_numpy(kernels.decorate_points(points.contiguous().numpy(), order, start, centre.numpy()))


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
    _check_rows(inputs, pillars)
    return _LinearReluPool.apply(inputs, weight, shift, pillars.start, with_product)  # type: ignore[no-untyped-call]


def linear_max(inputs: Tensor, weight: Tensor, pillars: Pillars) -> Tensor:
    """Maximum over each pillar of inputs @ weight.T.

    Args:
        inputs: (K, I).
        weight: (C, I).
        pillars: where each pillar's rows are.

    Returns:
        (V, C).
    """
    _check_rows(inputs, pillars)
    highest: Tensor = _LinearMax.apply(inputs, weight, pillars.start)  # type: ignore[no-untyped-call]
    return highest


def gram_matrix(values: Tensor) -> Tensor:
    """values.T @ values of (K, C), tiles summed in float64."""
    total = values.new_zeros(values.shape[1], values.shape[1], dtype=torch.float64)
    for tile in torch.split(values, TILE):
        total += tile.T @ tile
    return total


class _LinearReluPool(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, weight: Tensor, shift: Tensor, start: Tensor, with_product: bool
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        values = inputs.new_empty(len(inputs), len(weight))
        shift = shift.contiguous()
        total, highest = torch.empty_like(shift), torch.empty_like(shift)
        where = torch.empty(shift.shape, dtype=torch.int32)
        outer = inputs.new_zeros(len(weight), len(weight), dtype=torch.float64)
        for first, last, rows in _iterate_tiles(start):
            tile = torch.mm(inputs[rows], weight.T, out=values[rows])
            kernels.add_relu_pool(*_to_arrays(tile, shift, start, first, last, total, highest, where))
            if with_product:
                outer += tile.T @ tile
        ctx.save_for_backward(inputs, weight, values, where, start)
        return values, total, highest, outer

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, to_values: Tensor, to_total: Tensor, to_highest: Tensor, to_outer: Tensor
    ) -> tuple[Tensor | None, Tensor, Tensor, None, None]:
        inputs, weight, values, where, start = ctx.saved_tensors
        to_inputs = torch.empty_like(inputs) if ctx.needs_input_grad[0] else None
        to_weight, to_shift = torch.zeros_like(weight), torch.empty_like(to_total)
        pools = (to_total.contiguous(), to_highest.contiguous(), where)
        both = (to_outer + to_outer.T).to(values.dtype)  # d sum(G * V'V) / dV = V (G + G')
        for first, last, rows in _iterate_tiles(start):
            tile = torch.addmm(to_values[rows], values[rows], both)
            kernels.add_relu_pool_backward(*_to_arrays(tile, values[rows], *pools, start, first, last, to_shift))
            to_weight.addmm_(tile.T, inputs[rows])
            if to_inputs is not None:
                torch.mm(tile, weight, out=to_inputs[rows])
        return to_inputs, to_weight, to_shift, None, None


class _LinearMax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, start: Tensor) -> Tensor:
        highest = inputs.new_empty(len(start) - 1, len(weight))
        where = torch.empty(highest.shape, dtype=torch.int32)
        for first, last, rows in _iterate_tiles(start):
            kernels.pool_maximum(*_to_arrays(inputs[rows] @ weight.T, start, first, last, highest, where))
        ctx.save_for_backward(inputs, weight, where)
        return highest

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, to_highest: Tensor) -> tuple[Tensor, Tensor, None]:
        inputs, weight, where = ctx.saved_tensors
        to_inputs, to_weight = torch.zeros_like(inputs), torch.zeros_like(weight)
        kernels.add_linear_max_gradients(
            *_to_arrays(to_highest.contiguous(), where, inputs, weight.contiguous(), to_inputs, to_weight)
        )
        return to_inputs, to_weight, None


def _check_rows(inputs: Tensor, pillars: Pillars) -> None:
    if int(pillars.start[-1]) != len(inputs):
        raise ValueError(f"pillars: {len(inputs)} rows of features for {int(pillars.start[-1])} points in pillars")


def _iterate_tiles(start: Tensor) -> Iterator[tuple[int, int, slice]]:
    """Yield runs of whole pillars with about TILE points: first and last pillar, and their rows."""
    rows = start.numpy()
    first = 0
    while first < len(rows) - 1:
        last = max(first + 1, int(rows.searchsorted(rows[first] + TILE, side="right")) - 1)
        yield first, last, slice(int(rows[first]), int(rows[last]))
        first = last


def _to_arrays(*values: Any) -> list[Any]:
    """Convert tensors to numpy arrays, and leave anything else as it is."""
    return [value.detach().numpy() if isinstance(value, Tensor) else value for value in values]
