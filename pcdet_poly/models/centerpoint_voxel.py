"""CenterPoint on voxels: Batch -> CenterMaps."""

from __future__ import annotations

import torch
from torch import Tensor

from pcdet_poly.config.sections.centerpoint import CenterPointVoxelConfig
from pcdet_poly.models.layers.bev_backbone import BevBackbone
from pcdet_poly.models.layers.center_head import CenterHead
from pcdet_poly.models.layers.eager import run_eagerly
from pcdet_poly.models.layers.pillarnext.aspp_neck import AsppNeck
from pcdet_poly.models.layers.shared_inputs import SharesInputs
from pcdet_poly.models.layers.voxel_backbone import VoxelBackbone
from pcdet_poly.models.layers.voxel_means import average_points
from pcdet_poly.structures import Batch, CenterMaps, Grid


class CenterPointVoxel(SharesInputs):
    """Mean of each voxel's points, sparse backbone, bird's-eye backbone or neck, centre head.

    Frames without points give maps like any other. Points have `point_channels` numbers: x, y, z,
    tanh(intensity), elongation, and with several sweeps the age.
    """

    def __init__(
        self,
        cfg: CenterPointVoxelConfig,
        grid: Grid,
        num_classes: int,
        *,
        group_of_class: tuple[int, ...] | None = None,
        point_channels: int = 5,
        channels_last: bool = False,
    ) -> None:
        super().__init__()
        self.grid = grid
        self.point_channels = point_channels
        self.channels_last = channels_last
        self.max_points = cfg.max_points
        self.encoder = VoxelBackbone(point_channels, cfg)
        width = cfg.out_channels * cfg.count_bev_layers(grid.shape[2])
        self.backbone = AsppNeck(width, cfg.aspp.dilations) if cfg.aspp else BevBackbone(width, cfg.backbone)
        self.head = CenterHead(self.backbone.out_channels, num_classes, cfg, group_of_class)
        if channels_last:
            for part in (self.backbone, self.head):
                part.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, batch: Batch) -> CenterMaps:
        """Compute the maps of every frame of a batch."""
        maps: CenterMaps = self.head(self.backbone(self.make_image(batch)))
        return maps

    @run_eagerly  # kernels of our own: torch.compile takes over from the image on
    def make_image(self, batch: Batch) -> Tensor:
        """Bird's-eye image (B, C, ny, nx) of the batch, float32."""
        points = batch.points[:, : self.point_channels]
        # Coordinates reach 75 m: bfloat16 would round them to half a metre.
        with torch.autocast(points.device.type, enabled=False):
            voxels = self.compute_once(
                "voxels",
                (batch,),
                lambda: average_points(points, batch.frame_of_point, self.grid, batch.size, max_points=self.max_points),
            )
            image: Tensor = self.encoder(voxels, channels_last=self.channels_last)
            return image
