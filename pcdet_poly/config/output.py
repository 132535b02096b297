"""Settings of targets and of decoding."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pcdet_poly.config.section import Count, Fraction, Section


class TargetsConfig(Section):
    """How labels become heatmaps."""

    min_overlap: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """IoU that a box moved by one Gaussian radius keeps with its object."""
    min_radius: Count = 2
    """Smallest Gaussian radius, cells."""
    radius: Literal["legacy", "corrected"] = "legacy"
    """CornerNet's formula as all public code has it, or with its algebra corrected."""
    max_objects: Count = 500
    """Objects per frame used for training; the nearest are kept."""


class DecodeConfig(Section):
    """From maps to boxes."""

    top_k: Count = 500
    """Peaks kept per frame and class before NMS."""
    score: Fraction = 0.1
    """Smallest score."""
    nms_iou: Annotated[float, Field(gt=0, le=1)] | tuple[float, ...] = 0.7
    """Rotated bird's-eye IoU above which the lower score goes; one number or one per class."""
    max_detections: Count = 500
    """Boxes kept per frame."""
