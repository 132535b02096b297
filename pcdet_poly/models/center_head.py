"""Bird's-eye features -> CenterMaps."""

from __future__ import annotations

import math

from torch import Tensor, nn

from pcdet_poly.structures import CenterMaps


class CenterHead(nn.Module):
    """Dense head of CenterPoint, one group of classes. Shapes: B frames, C channels, K classes, H x W cells.

    `prior` is the score that every cell starts from. `iou=True` adds a branch for the box's IoU.
    """

    def __init__(
        self, in_channels: int, num_classes: int, *, width: int = 64, prior: float = 0.1, iou: bool = False
    ) -> None:
        super().__init__()
        outputs = {"heatmap": num_classes, "offset": 2, "z": 1, "size": 3, "heading": 2} | ({"iou": 1} if iou else {})
        self.shared = _conv_norm_relu(in_channels, width)
        self.branches = nn.ModuleDict({name: _branch(width, channels) for name, channels in outputs.items()})
        last = self.branches["heatmap"][-1]
        nn.init.constant_(last.bias, -math.log((1 - prior) / prior))

    def forward(self, bev: Tensor) -> CenterMaps:
        shared = self.shared(bev)  # (B, C, H, W) -> (B, width, H, W)
        return CenterMaps(**{name: branch(shared) for name, branch in self.branches.items()})


def _branch(width: int, out_channels: int) -> nn.Sequential:
    branch = nn.Sequential(*_conv_norm_relu(width, width), nn.Conv2d(width, out_channels, 3, padding=1))
    for layer in branch:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
    return branch


def _conv_norm_relu(in_channels: int, width: int) -> nn.Sequential:
    # The bias does nothing before a norm; public checkpoints and parameter counts have it.
    return nn.Sequential(nn.Conv2d(in_channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(inplace=True))
