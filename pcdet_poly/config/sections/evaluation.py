"""Settings of metrics, evaluation and submissions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from pcdet_poly.config.sections.section import Count, Fraction, NotNegative, Positive, Real, Section, parse_number

WAYMO_TYPES = ("VEHICLE", "PEDESTRIAN", "SIGN", "CYCLIST")
_OFFICIAL, _OFFICIAL_LET = (0.7, 0.5, 0.5, 0.5), (0.5, 0.3, 0.3, 0.3)  # IoU of a match, by Waymo's types


def _parse_thresholds(value: Any) -> Any:
    """Refuse what is neither four numbers nor a mapping of numbers, with one message in place of one for each way."""
    named = isinstance(value, Mapping)
    numbers = value.values() if named else value
    if not isinstance(numbers, Iterable) or isinstance(value, str) or not (named or len(value) == len(WAYMO_TYPES)):
        raise ValueError(f"{len(WAYMO_TYPES)} numbers ({', '.join(WAYMO_TYPES)}) or a mapping like {{CAR: 0.7}} needed")
    parsed = [parse_number(number) for number in numbers]
    for name, number in zip(value if named else WAYMO_TYPES, parsed, strict=True):
        if isinstance(number, bool) or not isinstance(number, int | float) or not 0 < number < math.inf:
            raise ValueError(f"{name}: {number!r}: the IoU of a match, a number above 0, needed")
    return dict(zip(value, parsed, strict=True)) if named else tuple(parsed)


# Of Waymo's types, or by class.
Thresholds = Annotated[
    tuple[Positive, Positive, Positive, Positive] | dict[str, Positive], BeforeValidator(_parse_thresholds)
]


def list_thresholds(thresholds: Thresholds, default: tuple[float, ...]) -> dict[str, float]:
    """Return the thresholds by class: Waymo's four, or where classes of one's own are named, these alone.

    Args:
        thresholds: as the config has them.
        default: those of Waymo's four classes that a mapping leaves out.
    """
    official = dict(zip(WAYMO_TYPES, default, strict=True))
    if not isinstance(thresholds, dict):
        return dict(zip(WAYMO_TYPES, thresholds, strict=True))
    return dict(thresholds) if thresholds.keys() - official.keys() else official | thresholds


class LetConfig(Section):
    """Longitudinal-error-tolerant metrics (LET-3D-AP), for detectors that see depth poorly. arXiv 2206.07705."""

    sensor_location: tuple[Real, Real, Real] = (1.43, 0.0, 2.18)
    """Point where lines of sight start, metres in the vehicle frame; the default is the middle of Waymo's cameras."""
    tolerance: Annotated[float, Field(gt=0)] = 0.1
    """Longitudinal error at which a match is worth nothing, as a share of the object's distance."""
    min_tolerance_m: Positive = 0.5
    """Smallest longitudinal tolerance, metres."""
    iou_thresholds: Thresholds = _OFFICIAL_LET
    """Smallest IoU after alignment along the line of sight: vehicle, pedestrian, sign, cyclist; or by name."""

    def type_thresholds(self, types: Sequence[str]) -> dict[str, float]:
        """Return the thresholds of `types`, as far as there are some."""
        known = list_thresholds(self.iou_thresholds, _OFFICIAL_LET)
        return {name: known[name] for name in types if name in known}


class MetricsConfig(Section):
    """Which of Waymo's detection metrics to compute. The default is the official challenge's."""

    breakdowns: tuple[
        Literal["ONE_SHARD", "OBJECT_TYPE", "RANGE", "SIZE", "VELOCITY", "ALL_BUT_SIGN", "CAMERA"], ...
    ] = ("OBJECT_TYPE", "RANGE")
    """Ways to split objects, each into its own rows."""
    levels: tuple[Literal[1, 2], ...] = (1, 2)
    """Difficulty levels: LEVEL_1 leaves missed hard objects out, LEVEL_2 counts them."""
    box_types: tuple[Literal["3D", "BEV", "AA_2D"], ...] = ("3D", "BEV")
    """Overlap that decides: of volumes, of footprints, or of footprints without their headings."""
    iou_thresholds: Thresholds = _OFFICIAL
    """Smallest IoU of a match: vehicle, pedestrian, sign, cyclist; or by name, as in {CAR: 0.7, TRUCK: 0.7}, which a
    class of one's own needs."""
    matcher: Literal["hungarian", "score_first"] = "hungarian"
    """How predictions and objects are matched: for the greatest sum of IoU, or each prediction, by descending score, to
    the best object that is left (with the official tool's bug)."""
    score_cutoffs: tuple[Real, ...] | Count | None = None
    """Scores at which precision and recall are taken. None: 0, 0.01, ... 1. A number n: n estimated from the scores."""
    recall_delta: Annotated[float, BeforeValidator(parse_number), Field(gt=0, le=1)] = 0.05
    """Largest step in recall when the curve is integrated."""
    min_precision: Fraction = 0.0
    """Precisions below this count as 0."""
    min_heading_accuracy: Real = -1.0
    """Matches whose heading accuracy (1 equal, 0 opposite) is not above this are not counted."""
    let: LetConfig | None = None
    """Add LET-3D-AP, with its own thresholds."""

    @property
    def type_names(self) -> tuple[str, ...]:
        """Types of objects that have rows of their own: Waymo's four, or one's own classes."""
        return tuple(list_thresholds(self.iou_thresholds, _OFFICIAL))

    @property
    def type_thresholds(self) -> tuple[float, ...]:
        """Smallest IoU of a match, by type."""
        return tuple(list_thresholds(self.iou_thresholds, _OFFICIAL).values())

    def scale_thresholds(self, share: float) -> Self:
        """Return these settings with so much of every overlap."""
        lower = {name: share * overlap for name, overlap in list_thresholds(self.iou_thresholds, _OFFICIAL).items()}
        as_written = lower if isinstance(self.iou_thresholds, dict) else tuple(lower.values())
        return self.model_copy(update={"iou_thresholds": as_written})

    @model_validator(mode="after")
    def _check_types_fit(self) -> Self:
        """Refuse what only Waymo's types have where there are others."""
        if self.type_names == WAYMO_TYPES:
            return self
        if "ALL_BUT_SIGN" in self.breakdowns:
            raise ValueError("breakdowns: ALL_BUT_SIGN is of Waymo's classes; leave it out with classes of your own")
        if self.let is not None:
            known = self.let.type_thresholds(self.type_names)
            if missing := [name for name in self.type_names if name not in known]:
                raise ValueError(f"let.iou_thresholds: none for {missing[0]}; write one, as in {{{missing[0]}: 0.5}}")
        return self


class SubmissionConfig(Section):
    """What goes into a file for Waymo's servers."""

    max_boxes: Count = 200
    """Boxes per frame; the best scores are kept. Waymo's challenges take at most 200."""
    min_score: Real = 0.0
    """Smallest score of a box."""
    account_name: str = ""
    """E-mail address registered with Waymo."""
    unique_method_name: str = ""
    """Name of the method, at most 25 characters."""
    authors: tuple[str, ...] = ()
    """Names of the authors."""
    affiliation: str = ""
    """Where the authors work."""
    description: str = ""
    """What the method does."""
    method_link: str = ""
    """Link to a paper or code."""
    past_frames: int = Field(default=0, ge=0)
    """Number of earlier frames that each prediction has used."""
    latency_s: NotNegative = 0.0
    """Time that the method takes per frame, seconds."""


class EvaluationConfig(Section):
    """Waymo's detection metrics."""

    metrics: MetricsConfig = MetricsConfig()
    """Which metrics are computed."""
    within: tuple[Real, Real, Real, Real] | None = None
    """x and y limits (x0, y0, x1, y1), metres: boxes with a centre outside are ignored on both sides. None: all."""
    batch_size: Count = 4
    """Frames per forward pass."""
    test_time_flips: Literal["none", "x", "y", "xy"] = "none"
    """Average the maps of a centre head over the frame and its mirror images: along x (y becomes -y), along y, or both
    (four passes)."""
    pictures: int = Field(default=4, ge=0)
    """Frames drawn as bird's-eye PNGs."""
    picture_score: Fraction = 0.3
    """Smallest score drawn in pictures."""
    best_by: str = "3D"
    """What decides which checkpoint is the best: the mean LEVEL_2 APH over the classes of "3D" or "BEV", or one metric
    by its path in metrics.json, such as 3D/OBJECT_TYPE_TYPE_VEHICLE_LEVEL_2/aph."""

    @model_validator(mode="after")
    def _check_limits_enclose_an_area(self) -> Self:
        if self.within is not None:
            x0, y0, x1, y1 = self.within
            if not (x0 < x1 and y0 < y1):
                raise ValueError(
                    f"within = {list(self.within)}: no area; write [x0, y0, x1, y1] with x0 < x1 and y0 < y1"
                )
        return self
