"""CenterPoint: Batch -> CenterMaps."""

from __future__ import annotations

from pcdet_poly.config.sections.centerpoint import CenterPointPillarConfig
from pcdet_poly.models.layers.center_head import CenterHead
from pcdet_poly.models.layers.pillarnext.aspp_neck import AsppNeck
from pcdet_poly.models.layers.pillarnext.sparse_backbone import SparsePillarBackbone
from pcdet_poly.models.pillar_detector import PillarDetector
from pcdet_poly.structures import Batch, CenterMaps, Grid


class CenterPointPillar(PillarDetector):
    """Dynamic pillars, sparse stages where there are some, bird's-eye backbone or neck, centre head."""

    def __init__(
        self,
        cfg: CenterPointPillarConfig,
        grid: Grid,
        num_classes: int,
        *,
        group_of_class: tuple[int, ...] | None = None,
        point_channels: int = 5,
        channels_last: bool = False,
    ) -> None:
        aspp, sparse, backend = cfg.aspp, cfg.sparse, cfg.sparse_backend
        super().__init__(
            cfg,
            grid,
            lambda width: CenterHead(width, num_classes, cfg, group_of_class),
            make_sparse=None if sparse is None else lambda width: SparsePillarBackbone(width, sparse, backend),
            make_backbone=None if aspp is None else lambda width: AsppNeck(width, aspp.dilations),
            point_channels=point_channels,
            channels_last=channels_last,
        )

    def forward(self, batch: Batch) -> CenterMaps:
        """Compute the maps of every frame of a batch."""
        maps: CenterMaps = super().forward(batch)
        return maps
