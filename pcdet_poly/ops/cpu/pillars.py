"""The operations of ops/pillars.py on the CPU: each point goes through a layer and into its pools in registers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from pcdet_poly.ops.arrays.vectors import split_columns
from pcdet_poly.ops.cpu import pillar_kernels as kernels
from pcdet_poly.structures.pillars import Pillars

TILE = 2048  # points; 32 float32 channels of them are 256 KiB


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
    values = values.contiguous()
    return _correlate(values, values)


class _LinearReluPool(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, weight: Tensor, shift: Tensor, start: Tensor, with_product: bool
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        inputs, shift, matrix = inputs.contiguous(), shift.contiguous(), weight.T.contiguous()
        values, where = inputs.new_empty(len(inputs), len(weight)), torch.empty(shift.shape, dtype=torch.int32)
        total, highest = torch.empty_like(shift), torch.empty_like(shift)
        results = (values, total, highest, where)
        kernels.multiply_relu_pool(*_to_arrays(inputs, matrix, shift, start, *results, *split_columns(len(weight))))
        size = (len(weight), len(weight))
        outer = _correlate(values, values) if with_product else values.new_zeros(size, dtype=torch.float64)
        ctx.save_for_backward(inputs, weight, values, where, start)
        return values, total, highest, outer

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, to_values: Tensor, to_total: Tensor, to_highest: Tensor, to_outer: Tensor
    ) -> tuple[Tensor | None, Tensor, Tensor, None, None]:
        inputs, weight, values, where, start = ctx.saved_tensors
        both = (to_outer + to_outer.T).to(values.dtype)  # d sum(G * V'V) / dV = V (G + G')
        given = (inputs, values, both, to_total.contiguous(), to_highest.contiguous(), where, start, TILE)
        to_matrix = weight.new_zeros(weight.T.shape, dtype=torch.float64)
        is_wanted = ctx.needs_input_grad[0]
        longest = int(start.diff().max()) if len(start) > 1 else 0
        num_rows = len(values) if is_wanted else min(max(TILE, longest), len(values))
        slopes, to_shift = values.new_empty(num_rows, len(weight)), torch.empty_like(to_total)
        kernels.compute_relu_pool_gradients(
            *_to_arrays(to_values.contiguous(), *given, slopes, to_matrix, to_shift, *split_columns(len(weight)))
        )
        return slopes @ weight if is_wanted else None, to_matrix.T.to(weight.dtype), to_shift, None, None


class _LinearMax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, start: Tensor) -> Tensor:
        inputs, matrix = inputs.contiguous(), weight.T.contiguous()
        highest = inputs.new_empty(len(start) - 1, len(weight))
        where = torch.empty(highest.shape, dtype=torch.int32)
        kernels.multiply_maximum(*_to_arrays(inputs, matrix, start, highest, where, *split_columns(len(weight))))
        ctx.save_for_backward(inputs, weight, where)
        return highest

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, to_highest: Tensor) -> tuple[Tensor | None, Tensor, None]:
        inputs, weight, where = ctx.saved_tensors
        weight, is_wanted = weight.contiguous(), ctx.needs_input_grad[0]
        to_inputs = torch.zeros_like(inputs if is_wanted else inputs[:0])
        to_weight = torch.zeros_like(weight)
        given = (to_highest.contiguous(), where, inputs, weight, to_inputs, to_weight)
        kernels.add_maximum_gradients(*_to_arrays(*given, *split_columns(weight.shape[1])))
        return to_inputs if is_wanted else None, to_weight, None


def _correlate(left: Tensor, right: Tensor) -> Tensor:
    """left.T @ right of contiguous (K, I) and (K, C), tiles summed in float64: (I, C)."""
    total = left.new_zeros(left.shape[1], right.shape[1], dtype=torch.float64)
    kernels.correlate_rows(*_to_arrays(left, right, TILE, total, *split_columns(right.shape[1])))
    return total


def _check_rows(inputs: Tensor, pillars: Pillars) -> None:
    if int(pillars.start[-1]) != len(inputs):
        raise ValueError(f"pillars: {len(inputs)} rows of features for {int(pillars.start[-1])} points in pillars")


def _to_arrays(*values: Any) -> list[Any]:
    """Convert tensors to numpy arrays, and leave anything else as it is."""
    return [value.detach().numpy() if isinstance(value, Tensor) else value for value in values]
