"""CenterPoint: Batch -> CenterMaps."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pcdet_poly.config.centerpoint import CenterPointPillarConfig
from pcdet_poly.models.bev_backbone import BevBackbone
from pcdet_poly.models.center_head import CenterHead
from pcdet_poly.models.pillar_encoder import PillarEncoder
from pcdet_poly.ops.scatter import to_bev
from pcdet_poly.ops.voxelize import voxelize
from pcdet_poly.structures import Batch, CenterMaps, Grid

POINT_CHANNELS = 5  # x, y, z, tanh(intensity), elongation


class CenterPointPillar(nn.Module):
    """Dynamic pillars, bird's-eye backbone, centre head. Frames without points give maps like any other."""

    def __init__(
        self, cfg: CenterPointPillarConfig, grid: Grid, num_classes: int, *, channels_last: bool = False
    ) -> None:
        super().__init__()
        self.grid = grid
        self.channels_last = channels_last
        self.encoder = PillarEncoder(POINT_CHANNELS, cfg.encoder_channels)
        self.backbone = BevBackbone(cfg.encoder_channels[-1], cfg.backbone)
        self.head = CenterHead(
            self.backbone.out_channels, num_classes, width=cfg.head_width, prior=cfg.prior, iou=cfg.iou_branch
        )
        if channels_last:
            self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, batch: Batch) -> CenterMaps:
        maps: CenterMaps = self.head(self.backbone(self.image(batch)))
        return maps

    @torch.compiler.disable  # kernels of our own: torch.compile takes over from the image on
    def image(self, batch: Batch) -> Tensor:
        """Bird's-eye image (B, C, ny, nx) of the batch, float32."""
        points = batch.points[:, :POINT_CHANNELS]
        # Coordinates reach 75 m: bfloat16 would round them to half a metre.
        with torch.autocast(points.device.type, enabled=False):
            voxels = voxelize(points, batch.frame_of_point, self.grid, batch.size)
            features = self.encoder(points, voxels)  # (V, C)
            return to_bev(features, voxels, channels_last=self.channels_last)
