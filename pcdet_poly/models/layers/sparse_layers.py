"""Layers on sparse tensors."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from pcdet_poly.ops.sparse_conv import Backend, sparse_conv
from pcdet_poly.ops.sparse_rules import Rules, Size3, strided_rules
from pcdet_poly.structures import SparseTensor


class SubmanifoldConv(nn.Module):
    """Convolution whose output has its input's cells. Sizes along z, y, x; two dimensions have kernel (1, 3, 3).

    Layers on the same cells share `submanifold_rules(tensor.sites, kernel)`.
    """

    backend: Backend = "torch"

    def __init__(self, in_channels: int, out_channels: int, kernel: Size3, *, bias: bool = False) -> None:
        super().__init__()
        self.kernel = kernel
        self.weight, self.bias = _parameters(in_channels, out_channels, kernel, bias)

    def forward(self, tensor: SparseTensor, rules: Rules) -> SparseTensor:
        result = sparse_conv(tensor.features, self.weight, rules, backend=self.backend)
        return result if self.bias is None else result.with_features(result.features + self.bias)


class SparseConv(nn.Module):
    """Strided convolution whose output has every cell that an active one reaches. Sizes along z, y, x."""

    backend: Backend = "torch"

    def __init__(
        self, in_channels: int, out_channels: int, kernel: Size3, stride: Size3, padding: Size3, *, bias: bool = False
    ) -> None:
        super().__init__()
        self.kernel, self.stride, self.padding = kernel, stride, padding
        self.weight, self.bias = _parameters(in_channels, out_channels, kernel, bias)

    def forward(self, tensor: SparseTensor) -> SparseTensor:
        rules = strided_rules(tensor.sites, self.kernel, self.stride, self.padding)
        result = sparse_conv(tensor.features, self.weight, rules, backend=self.backend)
        return result if self.bias is None else result.with_features(result.features + self.bias)


class SparseNorm(nn.BatchNorm1d):
    """Batch norm over active cells (V, C). One cell or none has no variance: it passes by the running one."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-3, momentum=0.01)

    def forward(self, features: Tensor) -> Tensor:
        if self.training and len(features) < 2:
            statistics = self.running_mean, self.running_var, self.weight, self.bias
            return torch.nn.functional.batch_norm(features, *statistics, training=False, eps=self.eps)
        return super().forward(features)


def _parameters(
    in_channels: int, out_channels: int, kernel: Size3, with_bias: bool
) -> tuple[nn.Parameter, nn.Parameter | None]:
    """Weight (C', kz, ky, kx, C), and bias (C',): uniform in +- 1 / sqrt(inputs), as torch's convolutions start."""
    bound = 1 / math.sqrt(in_channels * math.prod(kernel))
    weight = nn.Parameter(torch.empty(out_channels, *kernel, in_channels).uniform_(-bound, bound))
    return weight, nn.Parameter(torch.empty(out_channels).uniform_(-bound, bound)) if with_bias else None
