"""Batch -> bird's-eye image of pillars -> backbone -> head: what all detectors on pillars share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from pcdet_poly.config.sections.pillars import PillarsConfig
from pcdet_poly.models.layers.bev_backbone import BevBackbone
from pcdet_poly.models.layers.eager import run_eagerly
from pcdet_poly.models.layers.pillar_encoder import PillarEncoder
from pcdet_poly.models.layers.pillarnext.aspp_neck import AsppNeck
from pcdet_poly.models.layers.pillarnext.sparse_backbone import SparsePillarBackbone
from pcdet_poly.models.layers.shared_inputs import SharesInputs
from pcdet_poly.ops.scatter import to_bev
from pcdet_poly.structures import Batch, Grid, Sites, SparseTensor


class PillarDetector(SharesInputs):
    """Pillars, bird's-eye backbone, a dense head. Frames without points give maps like any other.

    `make_head` gets the backbone's width and gives a module from bird's-eye features to maps. `make_sparse` and
    `make_backbone` get the width of what is before them: the first may put sparse stages between pillars and the dense
    image, the second takes the place of the BevBackbone that `cfg` describes. Points have `point_channels` numbers:
    x, y, z, tanh(intensity), then the elongation and the age in seconds where the data section of the config has them.
    """

    sparse: SparsePillarBackbone | None

    def __init__(
        self,
        cfg: PillarsConfig,
        grid: Grid,
        make_head: Callable[[int], nn.Module],
        *,
        make_sparse: Callable[[int], SparsePillarBackbone] | None = None,
        make_backbone: Callable[[int], BevBackbone | AsppNeck] | None = None,
        point_channels: int = 5,
        channels_last: bool = False,
    ) -> None:
        super().__init__()
        self.grid = grid
        self.point_channels = point_channels
        self.channels_last = channels_last
        self.encoder = PillarEncoder.from_config(point_channels, cfg)
        width = cfg.encoder_channels[-1]
        self.sparse = make_sparse(width) if make_sparse else None
        width = self.sparse.out_channels if self.sparse else width
        self.backbone = make_backbone(width) if make_backbone else BevBackbone(width, cfg.backbone)
        self.head = make_head(self.backbone.out_channels)
        if channels_last:
            for part in (self.encoder, self.backbone, self.head):  # sparse kernels have no such format
                part.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, batch: Batch) -> Any:
        """The head's maps."""
        return self.head(self.backbone(self.make_image(batch)))

    @run_eagerly  # kernels of our own: torch.compile takes over from the image on
    def make_image(self, batch: Batch) -> Tensor:
        """Bird's-eye image (B, C, ny, nx) of the batch: float32, or what sparse layers compute in inside autocast."""
        points = batch.points[:, : self.point_channels]
        # Coordinates reach 75 m: bfloat16 would round them to half a metre.
        with torch.autocast(points.device.type, enabled=False):
            voxels = self.compute_once(
                "voxels",
                (batch,),
                lambda: self.encoder.group_points(points, batch.frame_of_point, self.grid, batch.size),
            )
            features = self.encoder(points, voxels)  # (V, C)
            if self.sparse is None:
                return to_bev(features, voxels, channels_last=self.channels_last)
        nx, ny, _ = self.grid.shape
        pillars = SparseTensor(features, Sites(voxels.cell, (1, ny, nx), batch.size))
        image: Tensor = self.sparse(pillars, channels_last=self.channels_last)
        return image
