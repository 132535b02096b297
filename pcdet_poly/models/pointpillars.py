"""PointPillars: Batch -> AnchorMaps."""

from __future__ import annotations

from pcdet_poly.config.sections.pointpillars import PointPillarsConfig
from pcdet_poly.models.layers.anchor_head import AnchorHead
from pcdet_poly.models.pillar_detector import PillarDetector
from pcdet_poly.structures import AnchorMaps, Batch, Grid


class PointPillars(PillarDetector):
    """Dynamic pillars (Lang et al., CVPR 2019, without a cap on points), bird's-eye backbone, anchor head."""

    def __init__(
        self,
        cfg: PointPillarsConfig,
        grid: Grid,
        num_classes: int,
        *,
        point_channels: int = 5,
        channels_last: bool = False,
    ) -> None:
        def make_head(width: int) -> AnchorHead:
            return AnchorHead(
                width,
                num_classes,
                per_cell=num_classes * len(cfg.yaws_rad),
                direction_bins=cfg.direction_bins,
                prior=cfg.prior,
            )

        super().__init__(cfg, grid, make_head, point_channels=point_channels, channels_last=channels_last)

    def forward(self, batch: Batch) -> AnchorMaps:
        """Compute the maps of every frame of a batch."""
        maps: AnchorMaps = super().forward(batch)
        return maps
