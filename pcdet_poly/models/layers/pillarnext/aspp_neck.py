"""Bird's-eye features -> bird's-eye features of the same size that have looked at several distances."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

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
        hidden = self.norm1(self.conv1(bev)).relu_()
        return (bev + self.norm2(self.conv2(hidden)).relu_()).relu_()


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
        wide = convolve_at_dilations(bev, self.compose_kernels(), self.dilations, self.output.bias)
        features: Tensor = self.norm(wide).relu_()
        return features

    def compose_kernels(self) -> Tensor:
        """Multiply what lies between input and norm into one kernel for each dilation: (D, C, C, 3, 3) float32.

        Nothing bends in between, so that the output's convolution of all parts side by side is a sum of convolutions of
        the input: less arithmetic, and none of the parts in memory.
        """
        kind = self.kernel.device.type
        with torch.autocast(kind, enabled=False) if torch.amp.is_autocast_available(kind) else nullcontext():
            # (C, C) each: of the input, of its 1 x 1 convolution, and of one convolution for each dilation
            same, point, *wide = self.output.weight[:, :, 0, 0].chunk(2 + len(self.dilations), dim=1)
            kernels = (torch.stack(wide) @ self.kernel.flatten(1)).view(-1, *self.kernel.shape)
            middle = nn.functional.pad((same + point @ self.point.weight[:, :, 0, 0])[..., None, None], (1, 1, 1, 1))
            return torch.cat([kernels[:1] + middle, kernels[1:]])


def convolve_at_dilations(bev: Tensor, kernels: Tensor, dilations: Sequence[int], bias: Tensor | None = None) -> Tensor:
    """Sum the convolutions of an image with a kernel at each dilation.

    Args:
        bev: (B, C, H, W).
        kernels: (D, C', C, 3, 3).
        dilations: D distances between a kernel's cells.
        bias: (C',).

    Returns:
        (B, C', H, W).
    """
    first, *others = dilations
    total = nn.functional.conv2d(bev, kernels[0], bias, padding=first, dilation=first)
    for kernel, step in zip(kernels[1:], others, strict=True):
        total += nn.functional.conv2d(bev, kernel, padding=step, dilation=step)  # no gradient reads what was there
    return total


def _make_norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, momentum=MOMENTUM)
