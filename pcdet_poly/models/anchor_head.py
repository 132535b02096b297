"""Bird's-eye features -> AnchorMaps."""

from __future__ import annotations

import math

from torch import Tensor, nn

from pcdet_poly.structures import AnchorMaps


class AnchorHead(nn.Module):
    """One 1 x 1 convolution per output. Shapes: B frames, C channels, H x W cells, A anchors per cell, K classes.

    Every anchor has a logit for every class, not only for its own. `prior` is the score it starts from.
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
        return AnchorMaps(
            logit=self._by_anchor(self.logit(bev)),
            code=self._by_anchor(self.code(bev)),
            direction=self._by_anchor(self.direction(bev)),
        )

    def _by_anchor(self, image: Tensor) -> Tensor:
        """(B, A * C, H, W) -> (B, H * W * A, C); no copy where the image is channels-last."""
        num_frames, channels, height, width = image.shape
        rows = image.permute(0, 2, 3, 1)
        return rows.reshape(num_frames, height * width * self.per_cell, channels // self.per_cell)
