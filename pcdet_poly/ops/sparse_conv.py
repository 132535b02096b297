"""Convolution of features on active cells, by its rules: gather, multiply, add, one kernel element at a time."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from pcdet_poly.ops.sparse_rules import Rules
from pcdet_poly.structures import SparseTensor


def sparse_conv(features: Tensor, weight: Tensor, rules: Rules) -> SparseTensor:
    """Features (V, C) of the rules' input cells -> (V', C') on their output cells, without bias.

    weight (C', kz, ky, kx, C), as spconv stores it. Equal to torch's conv3d of the dense tensor that is
    zero elsewhere, at the rules' output cells. Differentiable once; the order of all sums is fixed.
    """
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
        return _apply(features, weight, rules.input, rules.output, rules, len(rules.sites))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, to_result: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        features, weight = ctx.saved_tensors
        rules: Rules = ctx.rules
        to_features = to_weight = None
        if ctx.needs_input_grad[0]:
            transposed = weight.transpose(1, 2)
            to_features = _apply(to_result, transposed, rules.output, rules.input, rules, rules.num_inputs)
        if ctx.needs_input_grad[1]:
            to_weight = _weight_gradient(features, to_result, rules)
        return to_features, to_weight, None


def _apply(values: Tensor, weight: Tensor, source: Tensor, target: Tensor, rules: Rules, num_rows: int) -> Tensor:
    """Sum over elements k and their pairs: result[target] += values[source] @ weight[k]."""
    centre = rules.identity
    result = values.new_zeros(num_rows, weight.shape[2]) if centre is None else values @ weight[centre]
    for k in range(len(weight)):
        pairs = rules.pairs(k)
        if k != centre and pairs.start < pairs.stop:
            result.index_add_(0, target[pairs], values.index_select(0, source[pairs]) @ weight[k])
    return result


def _weight_gradient(features: Tensor, to_result: Tensor, rules: Rules) -> Tensor:
    """(K, C, C')."""
    gradient = features.new_zeros(len(rules.start) - 1, features.shape[1], to_result.shape[1])
    for k in range(len(gradient)):
        pairs = rules.pairs(k)
        if k == rules.identity:
            gradient[k] = features.T @ to_result
        elif pairs.start < pairs.stop:
            gathered = features.index_select(0, rules.input[pairs])
            gradient[k] = gathered.T @ to_result.index_select(0, rules.output[pairs])
    return gradient
