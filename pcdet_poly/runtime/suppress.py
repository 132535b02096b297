"""The step after the network, over numpy arrays: boxes that it found -> detections, as the run's settings want them.

Greedy, by descending score, ties by position: a box goes if one that was kept before it overlaps it too much.
"""

from __future__ import annotations

from dataclasses import dataclass
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


def select_boxes(found: FoundBoxes, score: Array, settings: dict[str, Any]) -> FoundBoxes:
    """Select the detections of a frame among the boxes found in it.

    Args:
        found: N boxes with the scores that they compete with.
        score: (N,) their classification scores, which the smallest score is about.
        settings: the section `decode` of the run's settings.

    Returns:
        Detections by descending score.
    """
    smallest = np.float32(settings["score"])
    wanted = score > smallest if settings["score_rule"] == "above" else score >= smallest
    if settings["centre_limits"] is not None:
        limits = np.array(settings["centre_limits"], np.float32)
        wanted &= ((found.box[:, :3] >= limits[:3]) & (found.box[:, :3] <= limits[3:])).all(axis=1)
    found = found[wanted]
    found = found[np.argsort(-found.score, kind="stable")]
    per_class = settings["limits"] == "per_class"
    if settings["nms_top_k"] is not None:
        found = found[_mark_first(found.label, settings["nms_top_k"], per_class)]
    found = found[_suppress(found, settings)]
    return found[_mark_first(found.label, settings["max_detections"], per_class)]


def _mark_first(label: Array, count: int, per_class: bool) -> Array:
    """Mark the first `count` of some boxes, or of each class's."""
    if not per_class:
        return np.arange(len(label)) < count
    is_class = label[:, None] == np.unique(label)[None]  # (N, classes)
    place: Array = (is_class.cumsum(axis=0) * is_class).sum(axis=1)  # counted from 1 in each class
    return place <= count


def _suppress(found: FoundBoxes, settings: dict[str, Any]) -> Array:
    """Mark the boxes, sorted by descending score, that suppression leaves."""
    rule = settings["nms"]
    if rule == "none":
        return np.ones(len(found), bool)
    find_rivals = _find_near if rule == "circle" else _find_overlapping
    limit = np.asarray(settings["circle_radius_m"] if rule == "circle" else settings["nms_iou"], np.float32)
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
