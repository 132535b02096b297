"""The step after the network, over numpy arrays: boxes that it found -> detections, as the run's settings want them.

Greedy, by descending score, ties by position: a box goes if one that was kept before it overlaps it too much.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from pcdet_poly.runtime.overlap import RADIUS, X, Y, measure_overlaps, prepare_boxes

Array = np.ndarray


@dataclass(frozen=True)
class FoundBoxes:
    """N boxes in the vehicle frame."""

    box: Array  # (N, 7) float32: centre x, y, z, length, width, height in metres, heading in radians
    label: Array  # (N,) int64, positions in the detector's class_names
    score: Array  # (N,) float32 in [0, 1]
    velocity: Array | None = None  # (N, 2) float32 along x and y, m/s, where the detector predicts it

    def __len__(self) -> int:
        return len(self.score)

    def __getitem__(self, rows: Array) -> FoundBoxes:
        """The chosen rows."""
        velocity = None if self.velocity is None else self.velocity[rows]
        return FoundBoxes(self.box[rows], self.label[rows], self.score[rows], velocity)


@dataclass(frozen=True)
class Rules:
    """Which boxes become detections: what suppression needs of the section `decode` of a run's settings."""

    score: float
    score_rule: str
    centre_limits: Sequence[float] | None
    nms: str
    nms_iou: float | Sequence[float]
    circle_radius_m: float | Sequence[float] | None
    nms_top_k: int | None
    max_detections: int
    limits: str

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Rules:
        """Read the section; settings that suppression does not need are left out."""
        return cls(**{field.name: settings[field.name] for field in fields(cls)})


def select_boxes(found: FoundBoxes, score: Array, rules: Rules) -> FoundBoxes:
    """Select the detections of a frame among the boxes found in it.

    Args:
        found: N boxes with the scores that they compete with.
        score: (N,) their classification scores, which the smallest score is about.
        rules: of the detector.

    Returns:
        Detections by descending score.
    """
    smallest = np.float32(rules.score)
    wanted = score > smallest if rules.score_rule == "above" else score >= smallest
    if rules.centre_limits is not None:
        limits = np.array(rules.centre_limits, np.float32)
        wanted &= ((found.box[:, :3] >= limits[:3]) & (found.box[:, :3] <= limits[3:])).all(axis=1)
    found = found[wanted]
    found = found[np.argsort(-found.score, kind="stable")]
    per_class = rules.limits == "per_class"
    if rules.nms_top_k is not None:
        found = found[_mark_first(found.label, rules.nms_top_k, per_class)]
    found = found[_suppress(found, rules)]
    return found[_mark_first(found.label, rules.max_detections, per_class)]


def _mark_first(label: Array, count: int, per_class: bool) -> Array:
    """Mark the first `count` of some boxes, or of each class's."""
    if not per_class:
        return np.arange(len(label)) < count
    is_class = label[:, None] == np.unique(label)[None]  # (N, classes)
    place: Array = (is_class.cumsum(axis=0) * is_class).sum(axis=1)  # counted from 1 in each class
    return place <= count


def _suppress(found: FoundBoxes, rules: Rules) -> Array:
    """Mark the boxes, sorted by descending score, that suppression leaves."""
    rule = rules.nms
    if rule == "none":
        return np.ones(len(found), bool)
    find_rivals = _find_near if rule == "circle" else _find_overlapping
    limit = np.asarray(rules.circle_radius_m if rule == "circle" else rules.nms_iou, np.float32)
    limits = limit[found.label] if limit.ndim else np.full(len(found), limit)
    group = np.zeros_like(found.label) if rule == "class_agnostic" else found.label
    boxes = prepare_boxes(found.box)
    is_kept = np.ones(len(found), bool)
    for i in range(len(found)):
        if is_kept[i]:
            later = i + 1 + np.flatnonzero(is_kept[i + 1 :] & (group[i + 1 :] == group[i]))
            is_kept[find_rivals(boxes, i, later, limits)] = False
    return is_kept


def _find_near(boxes: Array, i: int, later: Array, radius_m: Array) -> Array:
    dx, dy = boxes[X, later] - boxes[X, i], boxes[Y, later] - boxes[Y, i]
    reach = radius_m[later].astype(np.float64)
    return later[dx * dx + dy * dy <= reach * reach]


def _find_overlapping(boxes: Array, i: int, later: Array, iou: Array) -> Array:
    dx, dy = boxes[X, later] - boxes[X, i], boxes[Y, later] - boxes[Y, i]
    reach = boxes[RADIUS, later] + boxes[RADIUS, i]
    close = later[dx * dx + dy * dy < reach * reach]
    return close[measure_overlaps(boxes[:, i], boxes[:, close]) > iou[close]]
