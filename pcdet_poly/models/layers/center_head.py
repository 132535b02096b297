"""Bird's-eye features -> CenterMaps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import cast

import numpy as np
from torch import Tensor, nn

from pcdet_poly.config.sections.centerpoint import CenterHeadConfig
from pcdet_poly.structures import CenterMaps, join_groups


class CenterHead(nn.Module):
    """Dense head of CenterPoint, with all classes in one group or in several, each with branches of its own.

    Shapes: B frames, C channels, K classes, H x W cells. `cfg.prior` is the score that every cell starts from. With
    `cfg.head_up`, maps have so many times the cells of the input.
    """

    def __init__(
        self, in_channels: int, num_classes: int, cfg: CenterHeadConfig, group_of_class: tuple[int, ...] | None = None
    ) -> None:
        super().__init__()
        width, prior = cfg.head_width, cfg.prior
        outputs = {"heatmap": num_classes, "offset": 2, "z": 1, "size": 3, "heading": 2 * (cfg.num_heading_bins or 1)}
        outputs |= {"iou": 1} if cfg.iou_branch else {}
        outputs |= {"velocity": 2} if cfg.velocity else {}
        starts = {"heatmap": -math.log((1 - prior) / prior)}
        self.group_of_class = group_of_class
        self.shared = _make_conv_norm_relu(in_channels, width)
        if group_of_class is None and cfg.head_up == 1:
            self.branches = _make_branches(width, outputs, starts, cfg.head_start)
        else:
            sizes = [num_classes] if group_of_class is None else np.bincount(group_of_class).tolist()
            self.groups = nn.ModuleList(
                HeadGroup(
                    _make_up(width, cfg.head_up),
                    _make_branches(width, {**outputs, "heatmap": size}, starts, cfg.head_start),
                )
                for size in sizes
            )

    def list_groups(self) -> list[HeadGroup]:
        """List the layers of each group of classes; without groups they are one, of the same layers."""
        if "branches" in self._modules:
            return [HeadGroup(nn.Sequential(), self.branches)]
        return [cast(HeadGroup, group) for group in self.groups]

    def forward(self, bev: Tensor) -> CenterMaps:
        """Compute the maps of bird's-eye features (B, C, H, W)."""
        shared = self.shared(bev)  # (B, C, H, W) -> (B, width, H, W)
        if "branches" in self._modules:
            return CenterMaps(**{name: branch(shared) for name, branch in self.branches.items()})
        return join_groups([group(shared) for group in self.groups], self.group_of_class)


class HeadGroup(nn.Module):
    """What the classes of one group have for themselves: enlarged features, and branches."""

    def __init__(self, up: nn.Module, branches: nn.ModuleDict) -> None:
        super().__init__()
        self.up = up
        self.branches = branches

    def forward(self, shared: Tensor) -> CenterMaps:
        """Compute the maps of shared features (B, width, H, W)."""
        features = self.up(shared)
        return CenterMaps(**{name: branch(features) for name, branch in self.branches.items()})


def _make_branches(width: int, outputs: Mapping[str, int], starts: Mapping[str, float], start: str) -> nn.ModuleDict:
    """A branch for each output, with so many channels; they start as `CenterHeadConfig.head_start` says."""
    return nn.ModuleDict(
        {name: _make_branch(width, channels, starts.get(name), start) for name, channels in outputs.items()}
    )


def _make_branch(width: int, out_channels: int, bias: float | None, start: str) -> nn.Sequential:
    """A hidden and an output convolution; the output starts around `bias`."""
    hidden = nn.Conv2d(width, width, 3, padding=1)
    output = nn.Conv2d(width, out_channels, 3, padding=1)
    assert hidden.bias is not None
    assert output.bias is not None
    if start == "kaiming":
        for convolution in (hidden, output):
            nn.init.kaiming_normal_(convolution.weight)
        nn.init.zeros_(hidden.bias)
        nn.init.zeros_(output.bias)
    if bias is not None:
        nn.init.constant_(output.bias, bias)
    return nn.Sequential(hidden, nn.BatchNorm2d(width), nn.ReLU(inplace=True), output)


def _make_conv_norm_relu(in_channels: int, width: int) -> nn.Sequential:
    # The bias does nothing before a norm; public checkpoints and parameter counts have it.
    return nn.Sequential(nn.Conv2d(in_channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(inplace=True))


def _make_up(width: int, factor: int) -> nn.Sequential:
    """Features so many times as large; none but themselves for 1."""
    if factor == 1:
        return nn.Sequential()
    convolution = nn.ConvTranspose2d(width, width, factor, stride=factor, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(width), nn.ReLU(inplace=True))
