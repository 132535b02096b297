"""Voxels -> bird's-eye image: sparse 3D convolutions, each stage at half the resolution of the one before."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from pcdet_poly.config.sections.centerpoint import CenterPointVoxelConfig
from pcdet_poly.models.layers.eager import run_eagerly
from pcdet_poly.models.layers.sparse_layers import SparseConv, SparseNorm, SubmanifoldConv
from pcdet_poly.ops.rulebook import Size3, build_submanifold_rulebook
from pcdet_poly.ops.sparse_conv import sparse_to_bev
from pcdet_poly.structures import SparseTensor
from pcdet_poly.structures.rulebook import Rulebook

KERNEL: Size3 = (3, 3, 3)
HALF: Size3 = (2, 2, 2)


class VoxelBackbone(nn.Module):
    """SECOND's sparse network, plain or with residual blocks.

    A strided convolution leads from each stage to the next; a last one, along z, leaves a few cells of
    each column, which are concatenated.
    """

    def __init__(self, in_channels: int, cfg: CenterPointVoxelConfig) -> None:
        super().__init__()
        stages = [
            [SubmanifoldResidualBlock(width) if cfg.residual else SubmanifoldLayer(width, width) for _ in range(count)]
            for width, count in zip(cfg.channels, cfg.layers, strict=True)
        ]
        self.input = Stage([SubmanifoldLayer(in_channels, cfg.channels[0]), *stages[0]])
        self.stages = nn.Sequential(*map(Stage, stages[1:]))
        paddings: list[Size3] = [*[(1, 1, 1)] * (len(stages) - 2), (0, 1, 1)]
        self.strided = nn.Sequential(
            *(
                StridedLayer(*width, KERNEL, HALF, pad)
                for width, pad in zip(pairwise(cfg.channels), paddings, strict=True)
            )
        )
        self.output = StridedLayer(cfg.channels[-1], cfg.out_channels, (3, 1, 1), (2, 1, 1), (0, 0, 0))
        for module in self.modules():
            if isinstance(module, (SubmanifoldConv, SparseConv)):
                module.backend = cfg.sparse_backend

    def forward(self, voxels: SparseTensor, *, channels_last: bool = False) -> Tensor:
        """Voxels (V, C) -> image (B, out_channels * layers left, ny / stride, nx / stride)."""
        tensor = self.input(voxels)
        for strided, stage in zip(self.strided, self.stages, strict=True):
            tensor = stage(strided(tensor))
        return sparse_to_bev(self.output(tensor), channels_last=channels_last)


class Stage(nn.Module):
    """Submanifold layers on the same cells, which share their rulebook."""

    def __init__(self, layers: Sequence[nn.Module], kernel: Size3 = KERNEL) -> None:
        super().__init__()
        self.kernel = kernel
        self.layers = nn.ModuleList(layers)

    @run_eagerly  # kernels of our own, and another number of cells in every batch
    def forward(self, tensor: SparseTensor) -> SparseTensor:
        """Compute the layers of a stage, which share their active cells."""
        rulebook = build_submanifold_rulebook(tensor.sites, self.kernel)
        for layer in self.layers:
            tensor = layer(tensor, rulebook)
        return tensor


class SubmanifoldLayer(nn.Module):
    """Submanifold convolution, batch norm, ReLU."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = SubmanifoldConv(in_channels, out_channels, KERNEL)
        self.norm = SparseNorm(out_channels)

    def forward(self, tensor: SparseTensor, rulebook: Rulebook) -> SparseTensor:
        """Compute the layer at the active cells; `rulebook` belongs to them."""
        result = self.conv(tensor, rulebook)
        return result.replace_features(self.norm(result.features).relu_())


class SubmanifoldResidualBlock(nn.Module):
    """Two submanifold layers; what came in is added before the last ReLU."""

    def __init__(self, channels: int, kernel: Size3 = KERNEL, *, bias: bool = True) -> None:
        super().__init__()
        # Biases do nothing before a norm; public checkpoints of voxel networks, and their parameter counts, have them.
        self.conv1 = SubmanifoldConv(channels, channels, kernel, bias=bias)
        self.norm1 = SparseNorm(channels)
        self.conv2 = SubmanifoldConv(channels, channels, kernel, bias=bias)
        self.norm2 = SparseNorm(channels)

    def forward(self, tensor: SparseTensor, rulebook: Rulebook) -> SparseTensor:
        """Compute the block at the active cells; `rulebook` belongs to them."""
        hidden = self.conv1(tensor, rulebook)
        hidden = hidden.replace_features(self.norm1(hidden.features).relu_())
        residual = self.norm2(self.conv2(hidden, rulebook).features)
        return tensor.replace_features((tensor.features + residual).relu_())


class StridedLayer(nn.Module):
    """Strided convolution, batch norm, ReLU."""

    def __init__(self, in_channels: int, out_channels: int, kernel: Size3, stride: Size3, padding: Size3) -> None:
        super().__init__()
        self.conv = SparseConv(in_channels, out_channels, kernel, stride, padding)
        self.norm = SparseNorm(out_channels)

    def forward(self, tensor: SparseTensor) -> SparseTensor:
        """Compute the layer at every cell that an active one reaches."""
        result = self.conv(tensor)
        return result.replace_features(self.norm(result.features).relu_())
