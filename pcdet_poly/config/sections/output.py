"""Settings of targets and of decoding."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from pcdet_poly.config.sections.section import Count, Fraction, Positive, Real, Section, parse_number

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
    border: Literal["exact", "cut", "pull_in", "truncate"] = "exact"
    """Offset of a centre in the map's last half cell: as it is; cut to half a cell, as OpenPCDet has it; or so, with
    objects beyond the map learned at its border too, as OpenPCDet's assigner does when it is given any; or as
    PillarNeXt truncates: up to a cell below the map's smallest x and y in its first cell, whatever the object's z."""


PeakRule = Literal["3x3", "none"]
Bounds = tuple[Real, Real, Real, Real, Real, Real]


class DecodeConfig(Section):
    """From maps to boxes. The values of `preset` count where a setting is not given."""

    preset: Literal[
        "ours", "openpcdet_center", "openpcdet_center_iou", "openpcdet_anchor", "centerpoint_repo", "pillarnext"
    ] = "ours"
    """Decoding rule to start from: ours, or a published one (docs/recipes.md lists their values). A config that names
    another preset than its base gives up the base's settings of this section."""
    peaks: PeakRule | tuple[PeakRule, ...] = "3x3"
    """Cells of a centre head's map that may become boxes: those with the highest score of their class within 3 x 3
    cells, or all; one rule or one per class."""
    candidates: Literal["per_class", "all_classes", "best_class"] = "per_class"
    """What `top_k` counts in a centre head's map: cells of each class, of all classes together, or of all classes
    together where each cell is only its best class. A head with groups of classes counts in each group."""
    top_k: Count | None = 500
    """Highest cells, or anchors, that may become boxes in a frame, counted as `candidates` says. null: all with the
    score that is needed, of a centre head."""
    score: Fraction = 0.1
    """Smallest classification score of a box, before `iou_weight` changes it."""
    score_rule: Literal["at_least", "above"] = "at_least"
    """Whether a box with exactly the smallest score stays, or goes."""
    centre_limits: Bounds | None = None
    """Smallest x, y, z and largest x, y, z of a box's centre, metres, vehicle frame, ends included. null: none."""
    iou_weight: Fraction | tuple[Fraction, ...] | None = None
    """The a by which boxes are ranked: score ** (1 - a) * IoU ** a, with the IoU of model.iou_branch; one number or
    one per class. None: boxes are ranked by score."""
    nms: Literal["per_class", "class_agnostic", "circle", "none"] = "per_class"
    """Boxes that compete: those of one class, all, those of one class by the distance of their centres, or none."""
    nms_iou: Overlap | tuple[Overlap, ...] = 0.7
    """Rotated bird's-eye IoU above which the box with the lower score is dropped; one number or one per class."""
    nms_top_k: Count | None = None
    """Boxes of a frame, those with the highest scores, that go into suppression. null: all."""
    circle_radius_m: Positive | tuple[Positive, ...] | None = None
    """For `nms: circle`: distance of centres, metres, within which the box with the lower score is dropped; one number
    or one per class."""
    max_detections: Count = 500
    """Boxes kept per frame."""
    limits: Literal["per_frame", "per_class"] = "per_frame"
    """Whether `nms_top_k` and `max_detections` are numbers of a frame's boxes, or of those of each class."""

    @model_validator(mode="before")
    @classmethod
    def _fill_in_preset(cls, values: Any) -> Any:
        """Put the values of the preset under those that are given."""
        if not isinstance(values, Mapping):
            return values
        preset = values.get("preset")
        return {**DECODE_PRESETS.get(preset, {}), **values} if isinstance(preset, str) else values

    @model_validator(mode="after")
    def _check_suppression_number(self) -> Self:
        if self.nms == "class_agnostic" and isinstance(self.nms_iou, tuple):
            raise ValueError("nms: class_agnostic compares boxes of all classes: give nms_iou as one number")
        if self.nms in ("circle", "none") and self.nms_iou != type(self).model_fields["nms_iou"].default:
            raise ValueError(f"nms: {self.nms} does not look at overlaps: leave nms_iou out")
        if (self.nms == "circle") != (self.circle_radius_m is not None):
            raise ValueError(
                f"nms: {self.nms} and circle_radius_m = {self.circle_radius_m}: circle needs it, others none"
            )
        return self

    @model_validator(mode="after")
    def _check_limits_are_ordered(self) -> Self:
        limits = self.centre_limits
        if limits is not None and any(low > high for low, high in zip(limits[:3], limits[3:], strict=True)):
            raise ValueError(f"centre_limits = {list(limits)}: smallest x, y, z come first, then the largest")
        return self


# OpenPCDet: tools/cfgs/waymo_models/*.yaml at 8caccce. CenterPoint: configs/waymo/pp at 3cf7d87.
_WAYMO_LIMITS = (-80.0, -80.0, -10.0, 80.0, 80.0, 10.0)
_OPENPCDET_CENTER = {
    "peaks": "none",
    "candidates": "all_classes",
    "top_k": 500,
    "score": 0.1,
    "score_rule": "above",
    "centre_limits": _WAYMO_LIMITS,
    "nms": "class_agnostic",
    "nms_iou": 0.7,
    "nms_top_k": 4096,
    "max_detections": 500,
}
DECODE_PRESETS: dict[str, dict[str, Any]] = {
    "ours": {},
    "openpcdet_center": _OPENPCDET_CENTER,
    "openpcdet_center_iou": {
        **_OPENPCDET_CENTER,
        "iou_weight": (0.68, 0.71, 0.65),
        "nms": "per_class",
        "nms_iou": (0.75, 0.6, 0.55),
    },
    "openpcdet_anchor": {
        "top_k": 4096,
        "score": 0.1,
        "nms": "class_agnostic",
        "nms_iou": 0.7,
        "max_detections": 500,
    },
    "centerpoint_repo": {**_OPENPCDET_CENTER, "candidates": "best_class", "top_k": None},
    # PillarNeXt: its configs for Waymo at a9a2864.
    "pillarnext": {
        **_OPENPCDET_CENTER,
        "candidates": "best_class",
        "top_k": None,
        "iou_weight": (0.68, 0.71, 0.65),
        "nms": "per_class",
        "nms_iou": (0.7, 0.2, 0.25),
        "limits": "per_class",
    },
}
