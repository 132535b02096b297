"""Convolution of features on active cells, by its rules: gather, multiply, add, one kernel element at a time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from pcdet_poly.ops.cpu import sparse_conv as cpu
from pcdet_poly.ops.gpu import sparse_spconv as gpu
from pcdet_poly.ops.sparse_rules import Rules
from pcdet_poly.structures import SparseTensor

TILE = 4096  # pairs; 64 float32 channels of them are 1 MiB


Backend = Literal["torch", "spconv"]


def sparse_conv(features: Tensor, weight: Tensor, rules: Rules, *, backend: Backend = "torch") -> SparseTensor:
    """Features (V, C) of the rules' input cells -> (V', C') on their output cells, without bias.

    weight (C', kz, ky, kx, C), as spconv stores it. Equal to torch's conv3d of the dense tensor that is
    zero elsewhere, at the rules' output cells. Differentiable once; the order of all sums is fixed.
    `backend="spconv"` runs that package's kernels on a GPU; on a CPU, where they are wrong, ours run all the same.
    """
    if backend == "spconv" and features.is_cuda and len(rules.input):
        return SparseTensor(gpu.convolve(features, weight, rules.spconv_pairs, len(rules.sites)), rules.sites)
    by_element = weight.flatten(1, 3).permute(1, 2, 0).contiguous()  # (K, C, C')
    result: Tensor = _SparseConv.apply(features, by_element, rules)  # type: ignore[no-untyped-call]
    return SparseTensor(result, rules.sites)


def sparse_to_bev(tensor: SparseTensor, *, channels_last: bool = False) -> Tensor:
    """Features (V, C) -> bird's-eye image (B, C * nz, ny, nx), channel c * nz + z, zero where no cell is active."""
    nz, ny, nx = tensor.sites.shape
    features, num_channels = tensor.features, tensor.features.shape[1]
    frame, z, y, x = tensor.sites.coordinates().T
    row = (frame * ny + y) * nx + x
    image = features.new_zeros(tensor.sites.num_frames * ny * nx, num_channels, nz)
    image = image.index_put((row, torch.arange(num_channels, device=row.device)[:, None], z), features.T)
    image = image.view(tensor.sites.num_frames, ny, nx, num_channels * nz).permute(0, 3, 1, 2)
    return image if channels_last else image.contiguous()


class _SparseConv(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor, rules: Rules) -> Tensor:
        ctx.save_for_backward(features, weight)
        ctx.rules = rules
        if rules.centre is None:
            result = features.new_zeros(len(rules.sites), weight.shape[2])
        else:
            result = torch.mm(features, weight[rules.centre])
        taken, added = (features.new_empty(_longest(rules), width) for width in weight.shape[1:])
        for k, inputs, outputs in _tiles(rules):
            values = _take(features, inputs, taken)
            _add(result, outputs, torch.mm(values, weight[k], out=added[: len(values)]))
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, to_result: Tensor) -> tuple[Tensor, Tensor, None]:
        features, weight = ctx.saved_tensors
        rules: Rules = ctx.rules
        to_weight = torch.zeros_like(weight)
        if rules.centre is None:
            to_features = torch.zeros_like(features)
        else:
            to_features = torch.mm(to_result, weight[rules.centre].T)
            torch.mm(features.T, to_result, out=to_weight[rules.centre])
        taken, added = (features.new_empty(_longest(rules), features.shape[1]) for _ in range(2))
        upstream = to_result.new_empty(_longest(rules), to_result.shape[1])
        for k, inputs, outputs in _tiles(rules):
            gradient = _take(to_result, outputs, upstream)
            to_weight[k].addmm_(_take(features, inputs, taken).T, gradient)
            if ctx.needs_input_grad[0]:
                _add(to_features, inputs, torch.mm(gradient, weight[k].T, out=added[: len(gradient)]))
        return to_features, to_weight, None


def _tiles(rules: Rules) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Kernel element, input rows and output rows of a few pairs at a time; without a submanifold kernel's centre."""
    for k, (begin, end) in enumerate(pairwise(rules.start)):
        if k == rules.centre:
            continue
        for first in range(begin, end, _longest(rules)):
            pairs = slice(first, min(first + _longest(rules), end))
            yield k, rules.input[pairs], rules.output[pairs]


def _longest(rules: Rules) -> int:
    """Pairs in a tile: on the CPU what stays in cache, else all of a kernel element."""
    longest = max(end - begin for begin, end in pairwise(rules.start))
    return max(min(longest, TILE) if rules.input.device.type == "cpu" else longest, 1)


def _take(values: Tensor, rows: Tensor, place: Tensor) -> Tensor:
    """The chosen rows, written to the beginning of `place`."""
    return torch.index_select(values, 0, rows, out=place[: len(rows)])


def _add(total: Tensor, rows: Tensor, values: Tensor) -> None:
    """Add rows; none is chosen twice."""
    if total.device.type == "cpu":
        cpu.add_rows(total.numpy(), rows.numpy(), values.numpy())
    else:
        total.index_add_(0, rows, values)
