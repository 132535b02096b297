"""Bird's-eye features -> CenterMaps."""

from __future__ import annotations

import math

from torch import Tensor, nn

from pcdet_poly.config.sections.centerpoint import CenterHeadConfig
from pcdet_poly.structures import CenterMaps


class CenterHead(nn.Module):
    """Dense head of CenterPoint, with all classes in one group.

    Shapes: B frames, C channels, K classes, H x W cells. `cfg.prior` is the score that every cell starts from.
    """

    def __init__(self, in_channels: int, num_classes: int, cfg: CenterHeadConfig) -> None:
        super().__init__()
        width, prior = cfg.head_width, cfg.prior
        outputs = {"heatmap": num_classes, "offset": 2, "z": 1, "size": 3, "heading": 2 * (cfg.num_heading_bins or 1)}
        outputs |= {"iou": 1} if cfg.iou_branch else {}
        outputs |= {"velocity": 2} if cfg.velocity else {}
        starts = {"heatmap": -math.log((1 - prior) / prior)}
        self.shared = _make_conv_norm_relu(in_channels, width)
        self.branches = nn.ModuleDict(
            {name: _make_branch(width, channels, starts.get(name, 0.0)) for name, channels in outputs.items()}
        )

    def forward(self, bev: Tensor) -> CenterMaps:
        """Compute the maps of bird's-eye features (B, C, H, W)."""
        shared = self.shared(bev)  # (B, C, H, W) -> (B, width, H, W)
        return CenterMaps(**{name: branch(shared) for name, branch in self.branches.items()})


def _make_branch(width: int, out_channels: int, start: float) -> nn.Sequential:
    """A hidden and an output convolution; the output starts around `start`."""
    hidden = nn.Conv2d(width, width, 3, padding=1)
    output = nn.Conv2d(width, out_channels, 3, padding=1)
    for convolution, bias in ((hidden, 0.0), (output, start)):
        assert convolution.bias is not None
        nn.init.kaiming_normal_(convolution.weight)
        nn.init.constant_(convolution.bias, bias)
    return nn.Sequential(hidden, nn.BatchNorm2d(width), nn.ReLU(inplace=True), output)


def _make_conv_norm_relu(in_channels: int, width: int) -> nn.Sequential:
    # The bias does nothing before a norm; public checkpoints and parameter counts have it.
    return nn.Sequential(nn.Conv2d(in_channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(inplace=True))
