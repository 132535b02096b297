"""Settings of CenterPoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from pcdet_poly.config.backbone import BackboneConfig
from pcdet_poly.config.data import GridConfig
from pcdet_poly.config.section import Count, Section, number_from_text


class CenterHeadConfig(Section):
    """Settings that every model with a centre head has."""

    head_width: Count = 64
    """Width of the head's shared convolution and of its branches."""
    prior: Annotated[float, BeforeValidator(number_from_text), Field(gt=0, lt=1)] = 0.1
    """Score the heatmap starts from; sets the bias of its last layer."""
    iou_branch: bool = False
    """Predict each box's IoU, to rescore detections with."""


class CenterPointPillarConfig(CenterHeadConfig):
    """CenterPoint on pillars: dynamic pillar encoder, bird's-eye backbone, centre head."""

    kind: Literal["centerpoint_pillar"] = "centerpoint_pillar"
    """Which detector."""
    encoder_channels: tuple[Count, ...] = (64, 64)
    """Widths of the pillar encoder's layers; the last is the width of the bird's-eye image."""
    backbone: BackboneConfig = BackboneConfig()
    """Backbone and neck."""

    @model_validator(mode="after")
    def _encoder_halves(self) -> Self:
        if odd := [width for width in self.encoder_channels[:-1] if width % 2]:
            raise ValueError(f"encoder_channels: {odd[0]} must be even: half of it is the pillar's maximum")
        return self

    def problem_with(self, grid: GridConfig, classes: Sequence[str]) -> str | None:
        """Why this model cannot work on `grid` with `classes`, or None."""
        return self.backbone.problem_with(*grid.shape[:2])


class CenterPointVoxelConfig(CenterHeadConfig):
    """CenterPoint on voxels: mean of points, sparse backbone, bird's-eye backbone, centre head."""

    kind: Literal["centerpoint_voxel"] = "centerpoint_voxel"
    """Which detector."""

    def problem_with(self, grid: GridConfig, classes: Sequence[str]) -> str | None:
        """Why this model cannot work on `grid` with `classes`, or None."""
        return None
