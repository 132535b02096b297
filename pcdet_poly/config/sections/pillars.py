"""Settings that every detector on pillars has: how points become bird's-eye features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from pydantic import model_validator

from pcdet_poly.config.sections.backbone import BackboneConfig
from pcdet_poly.config.sections.data import GridConfig
from pcdet_poly.config.sections.detector import DetectorSection
from pcdet_poly.config.sections.section import Count


class PillarsConfig(DetectorSection):
    """Dynamic pillar encoder and bird's-eye backbone."""

    encoder_channels: tuple[Count, ...] = (64, 64)
    """Widths of the pillar encoder's layers; the last is the width of the bird's-eye image."""
    backbone: BackboneConfig = BackboneConfig()
    """Backbone and neck."""

    @model_validator(mode="after")
    def _check_encoder_halves(self) -> Self:
        if odd := [width for width in self.encoder_channels[:-1] if width % 2]:
            raise ValueError(f"encoder_channels: {odd[0]} must be even: half of it is the pillar's maximum")
        return self

    def explain_misfit(self, grid: GridConfig, classes: Sequence[str]) -> str | None:
        """Say why this detector cannot work on `grid` with `classes`, or return None where it can."""
        return self.backbone.explain_misfit(*grid.shape[:2])
