"""Range images -> features of every pixel: a U-Net of residual blocks."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pcdet_poly.config.sections.rsn import RangeImageConfig


class RsnRangeNet(nn.Module):
    """RSN's range image network: down through the stages, and back up with each stage's output appended.

    Shapes: I images (I, in_channels, H, W) -> (I, cfg.out_channels, H, W); any H and W. RSN, section 3.1; the
    widths are those of public ports (the paper does not list them).
    """

    def __init__(self, in_channels: int, cfg: RangeImageConfig) -> None:
        super().__init__()
        inputs = (in_channels, *cfg.channels[:-1])
        self.stages = nn.ModuleList(
            _make_blocks(*sizes) for sizes in zip(inputs, cfg.channels, cfg.blocks, cfg.strides, strict=True)
        )
        below = (*(2 * width for width in cfg.channels[1:-1]), cfg.channels[-1])  # widths that the ups start from
        ups = zip(below, cfg.channels[:-1], cfg.blocks[:-1], cfg.strides[1:], strict=True) if cfg.strides[1:] else ()
        self.up = nn.ModuleList(RsnRangeUpsampling(*sizes) for sizes in ups)

    def forward(self, image: Tensor) -> Tensor:
        """Compute the features of every pixel of range images (I, in_channels, H, W)."""
        outputs = []
        for stage in self.stages:
            image = stage(image)
            outputs.append(image)
        features = outputs.pop()
        for up in reversed(self.up):
            features = up(features, outputs.pop())
        return features


class RsnRangeUpsampling(nn.Module):
    """1 x 1 convolution, bilinear enlargement, residual blocks; then the earlier stage's output is appended."""

    def __init__(self, in_channels: int, channels: int, num_blocks: int, stride: int) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(in_channels, channels, 1, bias=False)
        self.enlarge = nn.Upsample(scale_factor=stride, mode="bilinear")
        self.blocks = _make_blocks(channels, channels, num_blocks, 1)

    def forward(self, features: Tensor, earlier: Tensor) -> Tensor:
        """Enlarge `features` (I, C, h, w) to the size of `earlier` (I, C', H, W) and append that."""
        height, width = earlier.shape[2:]  # where odd, it was rounded up on the way down
        larger = self.enlarge(self.narrow(features))[:, :, :height, :width]
        return torch.cat([self.blocks(larger), earlier], dim=1)


class RsnRangeResidualBlock(nn.Module):
    """ResNet's basic block: two 3 x 3 convolutions around a shortcut."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(in_channels, channels, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or in_channels != channels:
            # The stride as a step of its own: torch 2.13 crashes (CPU, channels last, 8 channels) in the
            # gradient of a 1 x 1 convolution with a stride.
            step, projection = nn.AvgPool2d(1, stride), nn.Conv2d(in_channels, channels, 1, bias=False)
            self.shortcut = nn.Sequential(step, projection, nn.BatchNorm2d(channels))

    def forward(self, image: Tensor) -> Tensor:
        """Compute the block of an image (I, C, H, W)."""
        return (self.convolutions(image) + self.shortcut(image)).relu()


def _make_blocks(in_channels: int, channels: int, num_blocks: int, stride: int) -> nn.Sequential:
    first = RsnRangeResidualBlock(in_channels, channels, stride)
    return nn.Sequential(first, *(RsnRangeResidualBlock(channels, channels, 1) for _ in range(num_blocks - 1)))
