"""Layers on sparse tensors."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from pcdet_poly.ops.rulebook import Size3, build_strided_rulebook
from pcdet_poly.ops.sparse_conv import Backend, sparse_conv
from pcdet_poly.structures import SparseTensor
from pcdet_poly.structures.rulebook import Rulebook


class SubmanifoldConv(nn.Module):
    """Convolution whose output has its input's cells. Sizes along z, y, x; two dimensions have kernel (1, 3, 3).

    Layers on the same cells share `build_submanifold_rulebook(tensor.sites, kernel)`.
    """

    backend: Backend = "torch"

    def __init__(self, in_channels: int, out_channels: int, kernel: Size3, *, bias: bool = False) -> None:
        super().__init__()
        self.kernel = kernel
        self.weight, self.bias = _make_parameters(in_channels, out_channels, kernel, bias)

    def forward(self, tensor: SparseTensor, rulebook: Rulebook) -> SparseTensor:
        """Convolve at the active cells; `rulebook` belongs to them and to this kernel."""
        result = sparse_conv(tensor.features, self.weight, rulebook, backend=self.backend)
        return result if self.bias is None else result.replace_features(result.features + self.bias)


class SparseConv(nn.Module):
    """Strided convolution whose output has every cell that an active one reaches. Sizes along z, y, x."""

    backend: Backend = "torch"

    def __init__(
        self, in_channels: int, out_channels: int, kernel: Size3, stride: Size3, padding: Size3, *, bias: bool = False
    ) -> None:
        super().__init__()
        self.kernel, self.stride, self.padding = kernel, stride, padding
        self.weight, self.bias = _make_parameters(in_channels, out_channels, kernel, bias)

    def forward(self, tensor: SparseTensor) -> SparseTensor:
        """Convolve, and make every cell active that an active one reaches."""
        rulebook = build_strided_rulebook(tensor.sites, self.kernel, self.stride, self.padding)
        result = sparse_conv(tensor.features, self.weight, rulebook, backend=self.backend)
        return result if self.bias is None else result.replace_features(result.features + self.bias)


class SparseNorm(nn.BatchNorm1d):
    """Batch norm over active cells (V, C). One cell or none has no variance: it passes by the running one."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-3, momentum=0.01)

    def forward(self, features: Tensor) -> Tensor:
        """Normalize the features (V, C) of the active cells."""
        if self.training and len(features) < 2:
            statistics = self.running_mean, self.running_var, self.weight, self.bias
            return torch.nn.functional.batch_norm(features, *statistics, training=False, eps=self.eps)
        return super().forward(features)


def _make_parameters(
    in_channels: int, out_channels: int, kernel: Size3, with_bias: bool
) -> tuple[nn.Parameter, nn.Parameter | None]:
    """Weight (C', kz, ky, kx, C), and bias (C',): uniform in +- 1 / sqrt(inputs), as torch's convolutions start."""
    bound = 1 / math.sqrt(in_channels * math.prod(kernel))
    weight = nn.Parameter(torch.empty(out_channels, *kernel, in_channels).uniform_(-bound, bound))
    return weight, nn.Parameter(torch.empty(out_channels).uniform_(-bound, bound)) if with_bias else None
