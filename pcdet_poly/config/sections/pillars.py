"""Settings that every detector on pillars has: how points become bird's-eye features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Self

from pydantic import model_validator

from pcdet_poly.config.sections.backbone import BackboneConfig
from pcdet_poly.config.sections.data import GridConfig
from pcdet_poly.config.sections.detector import DetectorSection
from pcdet_poly.config.sections.section import Count


class PillarsConfig(DetectorSection):
    """Pillar encoder and bird's-eye backbone."""

    encoder: Literal["dynamic", "dynamic_any_height", "hard"] = "dynamic"
    """Which points a pillar takes. dynamic: all within the grid. dynamic_any_height: all by x and y alone, whatever
    their z (OpenPCDet's DynPillarVFE). hard: its first `max_points`, filled up to so many rows with rows of zeros,
    which take part in maxima and batch statistics (OpenPCDet's PillarVFE, CenterPoint's PillarFeatureNet)."""
    max_points: Count = 20
    """For `encoder: hard`: rows of every pillar."""
    centre_offsets: Literal["xyz", "xy"] = "xyz"
    """Axes along which a point's offset from its pillar's centre is an input; CenterPoint's repository has no z."""
    encoder_channels: tuple[Count, ...] = (64, 64)
    """Widths of the pillar encoder's layers; the last is the width of the bird's-eye image."""
    backbone: BackboneConfig = BackboneConfig()
    """Backbone and neck."""

    @model_validator(mode="after")
    def _check_encoder_halves(self) -> Self:
        if odd := [width for width in self.encoder_channels[:-1] if width % 2]:
            raise ValueError(f"encoder_channels: {odd[0]} must be even: half of it is the pillar's maximum")
        return self

    @model_validator(mode="after")
    def _check_max_points_is_used(self) -> Self:
        if self.encoder != "hard" and self.max_points != type(self).model_fields["max_points"].default:
            raise ValueError(f"max_points = {self.max_points}: encoder: {self.encoder} has no limit; leave it out")
        return self

    def explain_misfit(self, grid: GridConfig, classes: Sequence[str]) -> str | None:
        """Say why this detector cannot work on `grid` with `classes`, or return None where it can."""
        return self.backbone.explain_misfit(*grid.shape[:2])
