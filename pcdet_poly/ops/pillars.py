"""A PointNet over pillars: linear layers on points and pooling over each pillar, points sorted by pillar.

Plain torch would write and read several (P, C) arrays per layer. On the CPU, points go through in
tiles that stay in cache instead, which makes a training step of the pillar encoder several times faster.
K points, V pillars, I inputs, C outputs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from pcdet_poly.ops.cpu import pillars as cpu
from pcdet_poly.ops.gpu import pillars as gpu
from pcdet_poly.structures import Voxels

TILE = 8192  # points; 64 float32 channels of them are 2 MiB


@dataclass(frozen=True)
class Pillars:
    """Where each pillar's points lie among K points sorted by pillar. No pillar is empty."""

    start: Tensor  # (V + 1,) int64: pillar v holds the rows start[v] to start[v + 1]
    num_points: Tensor  # (V,) int64

    def __len__(self) -> int:
        return len(self.num_points)

    @cached_property
    def of_row(self) -> Tensor:
        """(K,) int64 ascending: each point's pillar."""
        return torch.arange(len(self), device=self.start.device).repeat_interleave(self.num_points)


def sort_and_decorate(points: Tensor, voxels: Voxels) -> tuple[Tensor, Pillars]:
    """Points (P, C) -> (K, C + 7) sorted by pillar, points in no pillar left out.

    The columns are the point's own, its offset from the mean of its pillar's points, its offset from
    the pillar's centre (metres), and 1, so that a linear layer needs no bias and sums of products
    hold the sums and the count too. No gradient.
    """
    points, centre = points.detach(), voxel_centres(voxels)
    pillars = Pillars(torch.nn.functional.pad(voxels.num_points.cumsum(0), (1, 0)), voxels.num_points)
    if points.device.type == "cpu":
        start = pillars.start.numpy()
        order = cpu.order_by_pillar(voxels.voxel_of_point.numpy(), start)
        return torch.from_numpy(cpu.decorate(points.contiguous().numpy(), order, start, centre.numpy())), pillars
    return gpu.decorate(points, voxels.voxel_of_point, pillars.of_row, centre), pillars


def voxel_centres(voxels: Voxels) -> Tensor:
    """(V, 3) float32 x, y, z, metres."""
    index = voxels.coordinates()[:, [3, 2, 1]].float()
    return (index + 0.5) * index.new_tensor(voxels.grid.cell) + index.new_tensor(voxels.grid.lower)


def linear_relu_pool(
    inputs: Tensor, weight: Tensor, shift: Tensor, pillars: Pillars, *, with_product: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """values = relu(inputs @ weight.T + shift of the pillar), and what is needed to go on from there.

    Args: inputs (K, I), weight (C, I), shift (V, C).
    Returns: values (K, C), their sum (V, C) and maximum (V, C) over each pillar, and `product(values)`,
    or zeros where it is not asked for.
    """
    if inputs.device.type == "cpu":
        return _LinearReluPool.apply(inputs, weight, shift, pillars.start, with_product)  # type: ignore[no-untyped-call]
    return gpu.linear_relu_pool(inputs, weight, shift, pillars.of_row, with_product=with_product)


def linear_max(inputs: Tensor, weight: Tensor, pillars: Pillars) -> Tensor:
    """Maximum over each pillar of inputs @ weight.T: (K, I), (C, I) -> (V, C)."""
    if inputs.device.type == "cpu":
        highest: Tensor = _LinearMax.apply(inputs, weight, pillars.start)  # type: ignore[no-untyped-call]
        return highest
    return gpu.linear_max(inputs, weight, pillars.of_row, len(pillars))


def product(values: Tensor) -> Tensor:
    """values.T @ values of a tall matrix (K, C), summed in float64: (C, C)."""
    if values.device.type == "cpu":
        total = values.new_zeros(values.shape[1], values.shape[1], dtype=torch.float64)
        for tile in torch.split(values, TILE):
            total += tile.T @ tile
        return total
    return gpu.product(values)


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
        for first, last, rows in _tiles(start):
            tile = torch.mm(inputs[rows], weight.T, out=values[rows])
            cpu.add_relu_pool(*_arrays(tile, shift, start, first, last, total, highest, where))
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
        for first, last, rows in _tiles(start):
            tile = torch.addmm(to_values[rows], values[rows], both)
            cpu.add_relu_pool_backward(*_arrays(tile, values[rows], *pools, start, first, last, to_shift))
            to_weight.addmm_(tile.T, inputs[rows])
            if to_inputs is not None:
                torch.mm(tile, weight, out=to_inputs[rows])
        return to_inputs, to_weight, to_shift, None, None


class _LinearMax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, start: Tensor) -> Tensor:
        highest = inputs.new_empty(len(start) - 1, len(weight))
        where = torch.empty(highest.shape, dtype=torch.int32)
        for first, last, rows in _tiles(start):
            cpu.pool_max(*_arrays(inputs[rows] @ weight.T, start, first, last, highest, where))
        ctx.save_for_backward(inputs, weight, where)
        return highest

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, to_highest: Tensor) -> tuple[Tensor, Tensor, None]:
        inputs, weight, where = ctx.saved_tensors
        to_inputs, to_weight = torch.zeros_like(inputs), torch.zeros_like(weight)
        cpu.linear_max_backward(
            *_arrays(to_highest.contiguous(), where, inputs, weight.contiguous(), to_inputs, to_weight)
        )
        return to_inputs, to_weight, None


def _tiles(start: Tensor) -> Iterator[tuple[int, int, slice]]:
    """Runs of whole pillars with about TILE points: first and last pillar, and their rows."""
    rows = start.numpy()
    first = 0
    while first < len(rows) - 1:
        last = max(first + 1, int(rows.searchsorted(rows[first] + TILE, side="right")) - 1)
        yield first, last, slice(int(rows[first]), int(rows[last]))
        first = last


def _arrays(*values: Any) -> list[Any]:
    """Tensors as numpy arrays; anything else as it is."""
    return [value.detach().numpy() if isinstance(value, Tensor) else value for value in values]
