"""Pillars -> bird's-eye image: sparse 2D convolutions in strided stages, then a dense image."""

from __future__ import annotations

from torch import Tensor, nn

from pcdet_poly.config.sections.backbone import SparseBackboneConfig
from pcdet_poly.models.layers.sparse_layers import SparseConv, SparseNorm, SubmanifoldConv
from pcdet_poly.models.layers.voxel_backbone import Stage, StridedLayer, SubmanifoldResidualBlock
from pcdet_poly.ops.rulebook import Size3
from pcdet_poly.ops.sparse_conv import Backend, sparse_to_bev
from pcdet_poly.structures import SparseTensor

KERNEL: Size3 = (1, 3, 3)  # pillars are cells with one layer along z


class SparsePillarBackbone(nn.Module):
    """A sparse ResNet in two dimensions, as PillarNeXt and PillarNet have it.

    Each stage's ordinary convolution makes active every cell that an active one reaches, also with stride 1.
    Shapes: V pillars, C channels in; (B, cfg.out_channels, ny / s, nx / s) out, where s is the total stride.
    """

    def __init__(self, in_channels: int, cfg: SparseBackboneConfig, backend: Backend = "torch") -> None:
        super().__init__()
        self.out_channels = cfg.out_channels
        inputs = (in_channels, *cfg.channels[:-1])
        self.stages = nn.ModuleList(
            StridedStage(*sizes) for sizes in zip(inputs, cfg.channels, cfg.strides, cfg.blocks, strict=True)
        )
        self.output = nn.Linear(cfg.channels[-1], cfg.out_channels, bias=False)  # a 1 x 1 convolution
        self.norm = SparseNorm(cfg.out_channels)
        for module in self.modules():
            if isinstance(module, (SubmanifoldConv, SparseConv)):
                module.backend = backend

    def forward(self, pillars: SparseTensor, *, channels_last: bool = False) -> Tensor:
        """Pillars (V, C) -> image (B, out_channels, ny / stride, nx / stride), zero where no cell is active."""
        for stage in self.stages:
            pillars = stage(pillars)
        features = self.norm(self.output(pillars.features)).relu_()
        return sparse_to_bev(pillars.replace_features(features), channels_last=channels_last)


class StridedStage(nn.Module):
    """An ordinary convolution, norm and ReLU, then residual blocks on its active cells."""

    def __init__(self, in_channels: int, channels: int, stride: int, num_blocks: int) -> None:
        super().__init__()
        self.strided = StridedLayer(in_channels, channels, KERNEL, (1, stride, stride), (0, 1, 1))
        blocks = [SubmanifoldResidualBlock(channels, KERNEL, bias=False) for _ in range(num_blocks)]
        self.blocks = Stage(blocks, KERNEL)

    def forward(self, tensor: SparseTensor) -> SparseTensor:
        """Compute the stage at every cell that an active one reaches."""
        result: SparseTensor = self.blocks(self.strided(tensor))
        return result
