"""Layers for inference: batch norms folded into convolutions; sparse ones compute sum and ReLU in the same pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn

from pcdet_poly.models.layers.pillarnext.aspp_neck import Pyramid, convolve_at_dilations
from pcdet_poly.models.layers.rsn.sparse_blocks import RsnGrowingLayer, RsnResidualBlock
from pcdet_poly.models.layers.sparse_layers import SparseConv, SparseNorm, SubmanifoldConv
from pcdet_poly.models.layers.voxel_backbone import StridedLayer, SubmanifoldLayer, SubmanifoldResidualBlock
from pcdet_poly.ops.rulebook import build_strided_rulebook
from pcdet_poly.ops.sparse_conv import sparse_conv_relu
from pcdet_poly.structures import SparseTensor
from pcdet_poly.structures.rulebook import Rulebook


def fold_layer(layer: nn.Module) -> nn.Module | None:
    """Make the function that a sparse layer or block, or a pyramid, is in evaluation mode, without norms.

    Args:
        layer: any module.

    Returns:
        A module for inference that is called as the layer is; None for any other module.
    """
    fold = _FOLDS.get(type(layer))  # not of a class of the user's own made from one of these
    return None if fold is None else fold(layer)


def read_norm(norm: nn.BatchNorm1d | nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Read a batch norm in evaluation mode as a factor and a shift of each channel, (C,) each."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = (norm.weight * (norm.running_var + norm.eps).rsqrt()).detach()
    return scale, norm.bias.detach() - norm.running_mean * scale


def fold_sparse_conv(conv: SubmanifoldConv | SparseConv, norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """Fold a batch norm into the sparse convolution before it: its weight (C', kz, ky, kx, C), and a bias (C',)."""
    scale, shift = read_norm(norm)
    bias = shift if conv.bias is None else shift + conv.bias.detach() * scale
    return conv.weight.detach() * scale[:, None, None, None, None], bias


def fold_linear(linear: nn.Linear, norm: nn.BatchNorm1d) -> nn.Linear:
    """Fold a batch norm into the linear layer before it."""
    scale, shift = read_norm(norm)
    folded = nn.Linear(linear.in_features, linear.out_features, device=linear.weight.device)
    with torch.no_grad():
        folded.weight.copy_(linear.weight * scale[:, None])
        folded.bias.copy_(shift if linear.bias is None else shift + linear.bias * scale)
    return folded


class FoldedConv(nn.Module):
    """A submanifold convolution with its norm, the sum with a residual if there is one, and ReLU."""

    weight: Tensor
    bias: Tensor

    def __init__(self, conv: SubmanifoldConv | SparseConv, norm: SparseNorm) -> None:
        super().__init__()
        weight, bias = fold_sparse_conv(conv, norm)
        self.backend = conv.backend
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)

    def forward(self, tensor: SparseTensor, rulebook: Rulebook, residual: Tensor | None = None) -> SparseTensor:
        """Compute the layer at the active cells.

        Args:
            tensor: features (V, C) of the input's cells.
            rulebook: of the convolution.
            residual: (V', C') to add to the result, on the output's cells.
        """
        given = (tensor.features, self.weight, rulebook)
        return sparse_conv_relu(*given, bias=self.bias, residual=residual, backend=self.backend)


class FoldedStridedConv(FoldedConv):
    """A strided convolution with its norm and ReLU."""

    def __init__(self, conv: SparseConv, norm: SparseNorm) -> None:
        super().__init__(conv, norm)
        self.geometry = (conv.kernel, conv.stride, conv.padding)

    def forward(self, tensor: SparseTensor) -> SparseTensor:  # type: ignore[override]
        """Compute the layer at every cell that an active one reaches."""
        return super().forward(tensor, build_strided_rulebook(tensor.sites, *self.geometry))


class FoldedBlock(nn.Module):
    """Two submanifold convolutions; what came in is added before the last ReLU."""

    def __init__(self, first: FoldedConv, second: FoldedConv) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, tensor: SparseTensor, rulebook: Rulebook) -> SparseTensor:
        """Compute the block at the active cells; `rulebook` belongs to them."""
        return cast(SparseTensor, self.second(self.first(tensor, rulebook), rulebook, tensor.features))


class FoldedPyramid(nn.Module):
    """A pyramid's composed kernels, with its norm and ReLU."""

    kernels: Tensor
    bias: Tensor

    def __init__(self, pyramid: Pyramid) -> None:
        super().__init__()
        scale, shift = read_norm(pyramid.norm)
        self.dilations = pyramid.dilations
        self.register_buffer("kernels", pyramid.compose_kernels().detach() * scale[:, None, None, None])
        self.register_buffer("bias", shift)

    def forward(self, bev: Tensor) -> Tensor:
        """Compute the pyramid of bird's-eye features (B, C, H, W)."""
        return convolve_at_dilations(bev, self.kernels, self.dilations, self.bias).relu_()


_FOLDS: dict[type[nn.Module], Callable[[Any], nn.Module]] = {
    SubmanifoldLayer: lambda layer: FoldedConv(layer.conv, layer.norm),
    StridedLayer: lambda layer: FoldedStridedConv(layer.conv, layer.norm),
    RsnGrowingLayer: lambda layer: FoldedStridedConv(layer.convolution, layer.norm),
    SubmanifoldResidualBlock: lambda block: FoldedBlock(
        FoldedConv(block.conv1, block.norm1), FoldedConv(block.conv2, block.norm2)
    ),
    RsnResidualBlock: lambda block: FoldedBlock(
        FoldedConv(block.first, block.first_norm), FoldedConv(block.second, block.second_norm)
    ),
    Pyramid: FoldedPyramid,
}
