"""Bird's-eye features -> bird's-eye features of the same size that have looked at several distances."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

# PillarNeXt's neck runs twice in a training step, to save memory, and takes the batch into its running statistics each
# time: 1 - .9 ** 2. Outputs and gradients are those of one run.
MOMENTUM = 0.19


class AsppNeck(nn.Module):
    """Atrous spatial pyramid pooling: a residual block, then convolutions of its output side by side.

    Shapes: B frames, C channels, H x W cells in and out.
    """

    def __init__(self, channels: int, dilations: Sequence[int]) -> None:
        super().__init__()
        self.in_channels = self.out_channels = channels
        self.stages = nn.Sequential(DenseResidualBlock(channels), Pyramid(channels, dilations))

    def forward(self, bev: Tensor) -> Tensor:
        """Compute the features of bird's-eye features (B, C, H, W)."""
        features: Tensor = self.stages(bev)
        return features


class DenseResidualBlock(nn.Module):
    """Two layers of convolution, norm and ReLU; what came in is added, and ReLU applied once more."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False), _make_norm(channels)
        self.conv2, self.norm2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False), _make_norm(channels)

    def forward(self, bev: Tensor) -> Tensor:
        """Compute the block of bird's-eye features (B, C, H, W)."""
        hidden = self.norm1(self.conv1(bev)).relu()
        return (bev + self.norm2(self.conv2(hidden)).relu()).relu()


class Pyramid(nn.Module):
    """The input, a 1 x 1 convolution of it and one by a 3 x 3 kernel at each dilation, brought to the input's width."""

    def __init__(self, channels: int, dilations: Sequence[int]) -> None:
        super().__init__()
        self.dilations = tuple(dilations)
        self.point = nn.Conv2d(channels, channels, 1, bias=False)
        # PillarNeXt starts from a standard normal, whatever the number of channels.
        self.kernel = nn.Parameter(torch.empty(channels, channels, 3, 3).normal_())
        self.output = nn.Conv2d((2 + len(self.dilations)) * channels, channels, 1, bias=False)
        self.norm = _make_norm(channels)

    def forward(self, bev: Tensor) -> Tensor:
        """Compute the pyramid of bird's-eye features (B, C, H, W)."""
        wide = [nn.functional.conv2d(bev, self.kernel, padding=step, dilation=step) for step in self.dilations]
        features: Tensor = self.norm(self.output(torch.cat([bev, self.point(bev), *wide], dim=1))).relu()
        return features


def _make_norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, momentum=MOMENTUM)
