"""Settings of targets and of decoding."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from pcdet_poly.config.sections.section import Count, Fraction, Positive, Section, parse_number

Overlap = Annotated[float, BeforeValidator(parse_number), Field(gt=0, le=1)]


class TargetsConfig(Section):
    """How labels become heatmaps."""

    min_overlap: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """IoU that a box moved by one Gaussian radius keeps with its object."""
    min_radius: Count = 2
    """Smallest Gaussian radius, cells."""
    radius: Literal["legacy", "corrected"] = "legacy"
    """Radius of a Gaussian by CornerNet's formula as all public code has it, or with its algebra corrected."""
    max_objects: Count = 500
    """Largest number of objects per frame to train on; the nearest are kept."""


class DecodeConfig(Section):
    """From maps to boxes."""

    top_k: Count = 500
    """Peaks kept per frame and class before NMS."""
    score: Fraction = 0.1
    """Smallest classification score of a box, before `iou_weight` changes it."""
    iou_weight: Fraction | tuple[Fraction, ...] | None = None
    """The a by which boxes are ranked: score ** (1 - a) * IoU ** a, with the IoU of model.iou_branch; one number or
    one per class. None: boxes are ranked by score."""
    nms: Literal["per_class", "class_agnostic", "circle", "none"] = "per_class"
    """Boxes that compete: those of one class, all, those of one class by the distance of their centres, or none."""
    nms_iou: Overlap | tuple[Overlap, ...] = 0.7
    """Rotated bird's-eye IoU above which the box with the lower score is dropped; one number or one per class."""
    circle_radius_m: Positive | tuple[Positive, ...] | None = None
    """For `nms: circle`: distance of centres, metres, within which the box with the lower score is dropped; one number
    or one per class."""
    max_detections: Count = 500
    """Boxes kept per frame."""

    @model_validator(mode="after")
    def _check_suppression_number(self) -> Self:
        if self.nms == "class_agnostic" and isinstance(self.nms_iou, tuple):
            raise ValueError("nms: class_agnostic compares boxes of all classes: give nms_iou as one number")
        if self.nms in ("circle", "none") and self.nms_iou != type(self)().nms_iou:
            raise ValueError(f"nms: {self.nms} does not look at overlaps: leave nms_iou out")
        if (self.nms == "circle") != (self.circle_radius_m is not None):
            raise ValueError(
                f"nms: {self.nms} and circle_radius_m = {self.circle_radius_m}: circle needs it, others none"
            )
        return self
