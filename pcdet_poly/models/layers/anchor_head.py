"""Bird's-eye features -> AnchorMaps."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from pcdet_poly.structures import AnchorMaps


class AnchorHead(nn.Module):
    """Class logits, box codes and directions of every anchor, each by a 1 x 1 convolution.

    Shapes: B frames, C channels, H x W cells, A anchors per cell, K classes. The three convolutions are computed as
    one, so that the features, the largest tensor, are read once and have one gradient in place of three. Every anchor
    has a logit for every class, not only for its own. `prior` is the score that all of them start from.
    """

    def __init__(
        self, in_channels: int, num_classes: int, *, per_cell: int, direction_bins: int = 2, prior: float = 0.01
    ) -> None:
        super().__init__()
        self.per_cell = per_cell
        self.logit = nn.Conv2d(in_channels, per_cell * num_classes, 1)
        self.code = nn.Conv2d(in_channels, per_cell * 7, 1)
        self.direction = nn.Conv2d(in_channels, per_cell * direction_bins, 1)
        assert self.logit.bias is not None
        nn.init.constant_(self.logit.bias, -math.log((1 - prior) / prior))
        nn.init.normal_(self.code.weight, std=0.001)

    def forward(self, bev: Tensor) -> AnchorMaps:
        """Compute the maps of bird's-eye features (B, C, H, W)."""
        outputs = (self.logit, self.code, self.direction)
        weight = torch.cat([output.weight for output in outputs])
        bias = torch.cat([output.bias for output in outputs if output.bias is not None])
        image = functional.conv2d(bev, weight, bias)
        logit, code, direction = torch.split(image, [output.out_channels for output in outputs], dim=1)
        return AnchorMaps(self._split_anchors(logit), self._split_anchors(code), self._split_anchors(direction))

    def _split_anchors(self, image: Tensor) -> Tensor:
        """(B, A * C, H, W) -> (B, H * W * A, C)."""
        num_frames, channels, height, width = image.shape
        rows = image.permute(0, 2, 3, 1)
        return rows.reshape(num_frames, height * width * self.per_cell, channels // self.per_cell)
