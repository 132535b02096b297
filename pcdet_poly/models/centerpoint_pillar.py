"""CenterPoint: Batch -> CenterMaps."""

from __future__ import annotations

from pcdet_poly.config.sections.centerpoint import CenterPointPillarConfig
from pcdet_poly.models.layers.center_head import CenterHead
from pcdet_poly.models.pillar_detector import PillarDetector
from pcdet_poly.structures import Batch, CenterMaps, Grid


class CenterPointPillar(PillarDetector):
    """Dynamic pillars, bird's-eye backbone, centre head."""

    def __init__(
        self,
        cfg: CenterPointPillarConfig,
        grid: Grid,
        num_classes: int,
        *,
        point_channels: int = 5,
        channels_last: bool = False,
    ) -> None:
        def make_head(width: int) -> CenterHead:
            return CenterHead(width, num_classes, cfg)

        super().__init__(cfg, grid, make_head, point_channels=point_channels, channels_last=channels_last)

    def forward(self, batch: Batch) -> CenterMaps:
        """Compute the maps of every frame of a batch."""
        maps: CenterMaps = super().forward(batch)
        return maps
