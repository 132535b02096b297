"""Voxel features -> voxel features: RSN's sparse residual blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from torch import nn

from pcdet_poly.config.sections.rsn import Block
from pcdet_poly.models.layers.sparse_layers import SparseConv, SparseNorm, SubmanifoldConv
from pcdet_poly.ops.sparse_rules import Rules, Size3, submanifold_rules
from pcdet_poly.structures import SparseTensor


class SparseBlocks(nn.Module):
    """The blocks of a sparse backbone, one after the other, all of one width. `depth`: 1 for pillars, 3 for voxels."""

    def __init__(self, channels: int, blocks: Sequence[Block], depth: int) -> None:
        super().__init__()
        self.kernel: Size3 = (depth, 3, 3)
        self.layers = nn.ModuleList(layer for block in blocks for layer in _layers(channels, block, self.kernel))

    def forward(self, tensor: SparseTensor) -> SparseTensor:
        rules = submanifold_rules(tensor.sites, self.kernel)
        for layer in self.layers:
            if isinstance(layer, Grow):
                tensor = layer(tensor)
                rules = submanifold_rules(tensor.sites, self.kernel)
            else:
                tensor = layer(tensor, rules)
        return tensor


class Grow(nn.Module):
    """The head of B0: a sparse convolution that makes all cells around an active one active, perhaps with a stride."""

    def __init__(self, channels: int, kernel: Size3, stride: int) -> None:
        super().__init__()
        deep = kernel[0] > 1
        strides, padding = (stride if deep else 1, stride, stride), (kernel[0] // 2, 1, 1)
        self.convolution = SparseConv(channels, channels, kernel, strides, padding)
        self.norm = SparseNorm(channels)

    def forward(self, tensor: SparseTensor) -> SparseTensor:
        grown = self.convolution(tensor)
        return grown.with_features(self.norm(grown.features).relu())


class ResidualPair(nn.Module):
    """B1, and the tail of B0: two submanifold convolutions around a shortcut."""

    def __init__(self, channels: int, kernel: Size3) -> None:
        super().__init__()
        self.first, self.second = (SubmanifoldConv(channels, channels, kernel) for _ in range(2))
        self.first_norm, self.second_norm = SparseNorm(channels), SparseNorm(channels)

    def forward(self, tensor: SparseTensor, rules: Rules) -> SparseTensor:
        hidden = self.first(tensor, rules)
        hidden = hidden.with_features(self.first_norm(hidden.features).relu())
        change = self.second_norm(self.second(hidden, rules).features)
        return tensor.with_features((tensor.features + change).relu())


def _layers(channels: int, block: Block, kernel: Size3) -> list[nn.Module]:
    pair = ResidualPair(channels, kernel)
    match block:
        case "B1":
            return [pair]
        case "B0":
            return [Grow(channels, kernel, 1), pair]
        case "B0/2":
            return [Grow(channels, kernel, 2), pair]
        case _:
            assert_never(block)
