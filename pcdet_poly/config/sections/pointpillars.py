"""Settings of PointPillars."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from pcdet_poly.config.sections.data import GridConfig
from pcdet_poly.config.sections.pillars import PillarsConfig
from pcdet_poly.config.sections.section import Fraction, NotNegative, Positive, Real, Section, parse_number

Prior = Annotated[float, BeforeValidator(parse_number), Field(gt=0, lt=1)]


class AnchorConfig(Section):
    """Anchors of one class: at every cell a box of this size, one per yaw."""

    name: str
    """Name of the class, as in `data.classes`."""
    size: tuple[Positive, Positive, Positive]
    """Length, width, height, metres."""
    bottom_z: Real = 0.0
    """Height of the underside, metres; Waymo's vehicle frame has the ground near 0."""
    matched: Fraction
    """Smallest bird's-eye IoU with an object that makes an anchor a positive."""
    unmatched: Fraction
    """IoU below which an anchor is background. Anchors between the two count as neither."""

    @model_validator(mode="after")
    def _check_threshold_order(self) -> Self:
        if not 0 < self.unmatched <= self.matched:
            raise ValueError(f"{self.name}: needed 0 < unmatched = {self.unmatched} <= matched = {self.matched}")
        return self


WAYMO_ANCHORS = (
    AnchorConfig(name="VEHICLE", size=(4.7, 2.1, 1.7), matched=0.55, unmatched=0.4),
    AnchorConfig(name="PEDESTRIAN", size=(0.91, 0.86, 1.73), matched=0.5, unmatched=0.35),
    AnchorConfig(name="CYCLIST", size=(1.78, 0.84, 1.78), matched=0.5, unmatched=0.35),
)


class PointPillarsConfig(PillarsConfig):
    """PointPillars: pillar encoder, bird's-eye backbone, anchor head. The defaults are OpenPCDet's for Waymo."""

    kind: Literal["pointpillars"] = "pointpillars"
    """Name of the detector."""
    anchors: tuple[AnchorConfig, ...] = WAYMO_ANCHORS
    """Anchors of each class, one entry per class of `data.classes`."""
    yaws_rad: tuple[Real, ...] = Field(default=(0.0, 1.57), min_length=1)
    """Headings of the anchors at every cell, radians; 1.57 is the published pi / 2."""
    anchors_at: Literal["corners", "centres"] = "corners"
    """Where anchors stand: on OpenPCDet's lattice from one edge of the grid to the other, ends included, or at the
    centres of the cells."""
    equal_overlaps: Literal["tolerant", "float32"] = "tolerant"
    """Which of the anchors that overlap an object most are positives for that alone: those within 1e-6 of the best, or
    those that are equal to it in OpenPCDet's float32 arithmetic, where rounding decides among anchors alike."""
    prior: Prior = 0.01
    """Score that every anchor starts from; it sets the bias of the classification layer."""
    direction_bins: Annotated[int, Field(ge=2, multiple_of=2)] = 2
    """Sectors of heading that the direction output tells apart; the box alone leaves front and back open."""
    direction_offset_rad: Real = math.pi / 4
    """Heading at which the first sector starts, radians."""
    smooth_l1_beta: Positive = 1 / 9
    """Residual above which the box loss is linear."""
    box_weight: NotNegative = 2.0
    """Weight of the box loss in the total."""
    code_weights: tuple[NotNegative, NotNegative, NotNegative, NotNegative, NotNegative, NotNegative, NotNegative] = (
        1.0,
    ) * 7
    """Factors of the residuals of x, y, z, length, width, height, heading."""
    direction_weight: NotNegative = 0.2
    """Weight of the direction loss in the total."""

    def explain_misfit(self, grid: GridConfig, classes: Sequence[str]) -> str | None:
        """Say why this detector cannot work on `grid` with `classes`, or return None where it can."""
        return self._explain_class_misfit(classes) or super().explain_misfit(grid, classes)

    def _explain_class_misfit(self, classes: Sequence[str]) -> str | None:
        count = Counter(anchor.name for anchor in self.anchors)
        if missing := [name for name in classes if not count[name]]:
            return f"model.anchors: none for {missing[0]} of data.classes; add an entry with its name"
        if extra := [name for name in count if name not in classes]:
            return f"model.anchors: {extra[0]} is not one of data.classes ({', '.join(classes)}); leave it out"
        if twice := [name for name in count if count[name] > 1]:
            return f"model.anchors: {count[twice[0]]} entries for {twice[0]}; keep one and vary yaws_rad"
        return None
