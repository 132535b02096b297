"""Batch -> bird's-eye image of pillars -> backbone -> head: what all detectors on pillars share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from pcdet_poly.config.sections.pillars import PillarsConfig
from pcdet_poly.models.layers.bev_backbone import BevBackbone
from pcdet_poly.models.layers.pillar_encoder import PillarEncoder
from pcdet_poly.models.layers.shared_inputs import SharesInputs
from pcdet_poly.ops.scatter import to_bev
from pcdet_poly.structures import Batch, Grid


class PillarDetector(SharesInputs):
    """Pillars, bird's-eye backbone, a dense head. Frames without points give maps like any other.

    `make_head` gets the backbone's width and gives a module from bird's-eye features to maps. Points have
    `point_channels` numbers: x, y, z, tanh(intensity), elongation, and with several sweeps the age.
    """

    def __init__(
        self,
        cfg: PillarsConfig,
        grid: Grid,
        make_head: Callable[[int], nn.Module],
        *,
        point_channels: int = 5,
        channels_last: bool = False,
    ) -> None:
        super().__init__()
        self.grid = grid
        self.point_channels = point_channels
        self.channels_last = channels_last
        self.encoder = PillarEncoder.from_config(point_channels, cfg)
        self.backbone = BevBackbone(cfg.encoder_channels[-1], cfg.backbone)
        self.head = make_head(self.backbone.out_channels)
        if channels_last:
            self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, batch: Batch) -> Any:
        """The head's maps."""
        return self.head(self.backbone(self.make_image(batch)))

    @torch.compiler.disable  # kernels of our own: torch.compile takes over from the image on
    def make_image(self, batch: Batch) -> Tensor:
        """Bird's-eye image (B, C, ny, nx) of the batch, float32."""
        points = batch.points[:, : self.point_channels]
        # Coordinates reach 75 m: bfloat16 would round them to half a metre.
        with torch.autocast(points.device.type, enabled=False):
            voxels = self.compute_once(
                "voxels",
                (batch,),
                lambda: self.encoder.group_points(points, batch.frame_of_point, self.grid, batch.size),
            )
            features = self.encoder(points, voxels)  # (V, C)
            return to_bev(features, voxels, channels_last=self.channels_last)
