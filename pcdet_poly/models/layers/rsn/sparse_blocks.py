"""Voxel features -> voxel features: RSN's sparse residual blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from torch import nn

from pcdet_poly.config.sections.rsn import Block
from pcdet_poly.models.layers.sparse_layers import SparseConv, SparseNorm, SubmanifoldConv
from pcdet_poly.ops.rulebook import Size3, build_submanifold_rulebook
from pcdet_poly.structures import SparseTensor
from pcdet_poly.structures.rulebook import Rulebook


class RsnSparseBlocks(nn.Module):
    """The blocks of a sparse backbone, one after the other, all of one width. `depth`: 1 for pillars, 3 for voxels."""

    def __init__(self, channels: int, blocks: Sequence[Block], depth: int) -> None:
        super().__init__()
        self.kernel: Size3 = (depth, 3, 3)
        self.layers = nn.ModuleList(layer for block in blocks for layer in _make_layers(channels, block, self.kernel))
        self.is_growing = tuple(isinstance(layer, RsnGrowingLayer) for layer in self.layers)

    def forward(self, tensor: SparseTensor) -> SparseTensor:
        """Compute all blocks, one after the other."""
        rulebook = build_submanifold_rulebook(tensor.sites, self.kernel)
        for layer, is_growing in zip(self.layers, self.is_growing, strict=True):
            if is_growing:
                tensor = layer(tensor)
                rulebook = build_submanifold_rulebook(tensor.sites, self.kernel)
            else:
                tensor = layer(tensor, rulebook)
        return tensor


class RsnGrowingLayer(nn.Module):
    """The head of B0: a sparse convolution that makes all cells around an active one active, perhaps with a stride."""

    def __init__(self, channels: int, kernel: Size3, stride: int) -> None:
        super().__init__()
        deep = kernel[0] > 1
        strides, padding = (stride if deep else 1, stride, stride), (kernel[0] // 2, 1, 1)
        self.convolution = SparseConv(channels, channels, kernel, strides, padding)
        self.norm = SparseNorm(channels)

    def forward(self, tensor: SparseTensor) -> SparseTensor:
        """Compute features at every cell that the convolution reaches from an active one."""
        grown = self.convolution(tensor)
        return grown.replace_features(self.norm(grown.features).relu_())


class RsnResidualBlock(nn.Module):
    """B1, and the tail of B0: two submanifold convolutions around a shortcut."""

    def __init__(self, channels: int, kernel: Size3) -> None:
        super().__init__()
        self.first, self.second = (SubmanifoldConv(channels, channels, kernel) for _ in range(2))
        self.first_norm, self.second_norm = SparseNorm(channels), SparseNorm(channels)

    def forward(self, tensor: SparseTensor, rulebook: Rulebook) -> SparseTensor:
        """Compute the block at the active cells; `rulebook` is that of a submanifold convolution on them."""
        hidden = self.first(tensor, rulebook)
        hidden = hidden.replace_features(self.first_norm(hidden.features).relu_())
        residual = self.second_norm(self.second(hidden, rulebook).features)
        return tensor.replace_features((tensor.features + residual).relu_())


def _make_layers(channels: int, block: Block, kernel: Size3) -> list[nn.Module]:
    pair = RsnResidualBlock(channels, kernel)
    match block:
        case "B1":
            return [pair]
        case "B0":
            return [RsnGrowingLayer(channels, kernel, 1), pair]
        case "B0/2":
            return [RsnGrowingLayer(channels, kernel, 2), pair]
        case _:
            assert_never(block)
