"""The same frames for every arm: points, labels, and what became of each label and detection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pcdet_poly.evaluation.problems import waymo_types
from pcdet_poly.experiments.report.finished_sweep import Model
from pcdet_poly.experiments.report.loss_behaviour import one_run_each
from pcdet_poly.experiments.report.metrics import Numbers
from pcdet_poly.experiments.report.precision_recall import pr_curve
from pcdet_poly.ops.iou import iou_3d
from pcdet_poly.structures import Detections, GroundTruth

MISSED, FOUND = 0, 1  # of a label
FALSE, TRUE, IGNORED = 0, 1, 2  # of a detection; ignored: unmatched in a no-label zone


@dataclass(frozen=True)
class Seen:
    """One arm's view of a frame."""

    seed: int
    found: np.ndarray  # (M,) FOUND or MISSED of each label
    detections: Detections
    outcome: np.ndarray  # (N,) TRUE, FALSE or IGNORED of each detection


@dataclass(frozen=True)
class Scene:
    """One frame."""

    frame_id: str
    points: np.ndarray  # (P, 3) float32, thinned out
    labels: GroundTruth  # those that count: with a point, in the evaluated area
    arms: Mapping[str, Seen]


def scenes(numbers: Numbers, num_frames: int, num_points: int) -> list[Scene]:
    """The frame with most objects in each of `num_frames` equal parts of the validation frames."""
    if num_frames < 1:
        return []
    model = numbers.model
    counted = [truth[_counts(model, truth)] for truth in model.labels.ground_truth]
    parts = np.array_split(np.arange(len(counted)), min(num_frames, len(counted)))
    chosen = [max(part.tolist(), key=lambda i: len(counted[i])) for part in parts]
    cutoffs = {arm: _cutoffs(numbers, arm) for arm, _ in one_run_each(model)}
    return [_scene(model, index, counted[index], cutoffs, num_points) for index in chosen]


def matched(detections: Detections, labels: GroundTruth, least_iou: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """(N,) and (M,) bool: which detections and labels have a partner.

    The highest score first, each detection takes the free label of its class that it overlaps most, if the 3D IoU is at
    least the class's. (Waymo's metrics match by the greatest sum of IoU; few boxes end up otherwise.)
    """
    import torch

    overlap = iou_3d(torch.as_tensor(detections.box), torch.as_tensor(labels.box)).numpy()  # (N, M)
    overlap[np.asarray(detections.label)[:, None] != np.asarray(labels.label)[None]] = 0
    right, found = np.zeros(len(detections), bool), np.zeros(len(labels), bool)
    for row in np.argsort(-np.asarray(detections.score), kind="stable"):
        free = np.where(found, 0, overlap[row])
        if len(free) and free.max() >= max(least_iou[detections.label[row]], 1e-9):
            right[row], found[free.argmax()] = True, True
    return right, found


def _scene(model: Model, index: int, labels: GroundTruth, cutoffs: Mapping[str, np.ndarray], num_points: int) -> Scene:
    arms = {}
    for arm, seed in one_run_each(model):
        every = model.runs[arm][seed].detections.detections[index]
        shown = _inside(model, every) & (every.score >= cutoffs[arm][every.label])
        arms[arm] = _seen(model, seed, index, every[shown], labels)
    return Scene(model.labels.frame_ids[index], _points(model, index, num_points), labels, arms)


def _seen(model: Model, seed: int, index: int, detections: Detections, labels: GroundTruth) -> Seen:
    thresholds = np.asarray(model.config.evaluation.metrics.iou_thresholds)
    right, found = matched(detections, labels, thresholds[waymo_types(model.config.data.classes) - 1])
    every = [Detections.empty()] * len(model.labels.zones)
    every[index] = detections
    ignored = np.asarray(model.labels.in_zone(every)[index], bool)
    outcome = np.where(right, TRUE, np.where(ignored, IGNORED, FALSE))
    return Seen(seed, np.where(found, FOUND, MISSED), detections, outcome)


def _counts(model: Model, truth: GroundTruth) -> np.ndarray:
    counts: np.ndarray = (np.asarray(truth.num_points) > 0) & _inside(model, truth)
    return counts


def _inside(model: Model, rows: GroundTruth | Detections) -> np.ndarray:
    """(N,) bool: in the area that is evaluated."""
    x0, y0, x1, y1 = model.config.evaluation.within or (-np.inf, -np.inf, np.inf, np.inf)
    x, y = rows.box[:, 0], rows.box[:, 1]
    inside: np.ndarray = (x >= x0) & (x <= x1) & (y >= y0) & (y <= y1)
    return inside


def _points(model: Model, index: int, num_points: int) -> np.ndarray:
    """(P, 3): those in the grid, thinned out at random."""
    frame, grid = model.labels.frame(index), model.config.grid
    xyz = frame.points[:, :3]
    xyz = xyz[((xyz >= np.array(grid.lower)) & (xyz < np.array(grid.upper))).all(1)]
    kept = np.random.default_rng(0).permutation(len(xyz))[:num_points]
    return xyz[np.sort(kept)]


def _cutoffs(numbers: Numbers, arm: str) -> np.ndarray:
    """(K,) score of each class where the arm's F1 is best: arms differ in how high they score."""
    part, level, _ = numbers.main
    classes = numbers.model.config.data.classes
    return np.array([pr_curve(numbers.model, arm, kind, part, level).best_score() for kind in classes])
