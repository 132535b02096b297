"""The same frames for every arm: points, labels, and what became of each label and detection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pcdet_poly.evaluation.tabulate import waymo_types
from pcdet_poly.experiments.report.finished_sweep import DetectorRuns
from pcdet_poly.experiments.report.loss_behaviour import pick_one_run_per_arm
from pcdet_poly.experiments.report.metrics import DetectorMetrics
from pcdet_poly.experiments.report.precision_recall import compute_precision_recall
from pcdet_poly.ops.iou import iou_3d
from pcdet_poly.structures import Detections, GroundTruth

MISSED, FOUND = 0, 1  # outcomes of a label
FALSE, TRUE, IGNORED = 0, 1, 2  # outcomes of a detection; ignored: unmatched in a no-label zone


@dataclass(frozen=True)
class ArmView:
    """What one arm's run detected in a frame."""

    seed: int
    found: np.ndarray  # (M,) FOUND or MISSED of each label
    detections: Detections
    outcome: np.ndarray  # (N,) TRUE, FALSE or IGNORED of each detection


@dataclass(frozen=True)
class ShownFrame:
    """One frame as every arm sees it."""

    frame_id: str
    points: np.ndarray  # (P, 3) float32, thinned out, vehicle frame
    labels: GroundTruth  # those that count: with a point, in the evaluated area
    arms: Mapping[str, ArmView]


def select_frames(metrics: DetectorMetrics, num_frames: int, num_points: int) -> list[ShownFrame]:
    """Select the frame with most objects in each of several equal parts of the validation frames.

    Args:
        metrics: of the detector's runs.
        num_frames: how many parts; 0 for no frame.
        num_points: LiDAR points to keep of each frame.

    Returns:
        The frames in order, each with one run of every arm.
    """
    if num_frames < 1:
        return []
    detector = metrics.detector
    counted = [truth[_find_counted(detector, truth)] for truth in detector.labels.ground_truth]
    parts = np.array_split(np.arange(len(counted)), min(num_frames, len(counted)))
    chosen = [max(part.tolist(), key=lambda i: len(counted[i])) for part in parts]
    cutoffs = {arm: _find_best_scores(metrics, arm) for arm, _ in pick_one_run_per_arm(detector)}
    return [_show_frame(detector, index, counted[index], cutoffs, num_points) for index in chosen]


def match_greedily(
    detections: Detections, labels: GroundTruth, least_iou: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """Match detections with labels of one frame.

    The highest score first, each detection takes the free label of its class that it overlaps most, if the 3D IoU is at
    least the class's. (Waymo's metrics match by the greatest sum of IoU; few boxes end up otherwise.)

    Args:
        detections: N of them.
        labels: M of them.
        least_iou: for each class.

    Returns:
        (N,) and (M,) bool: which detections and which labels have a partner.
    """
    import torch

    overlap = iou_3d(torch.as_tensor(detections.box), torch.as_tensor(labels.box)).numpy()  # (N, M)
    overlap[np.asarray(detections.label)[:, None] != np.asarray(labels.label)[None]] = 0
    right, found = np.zeros(len(detections), bool), np.zeros(len(labels), bool)
    for row in np.argsort(-np.asarray(detections.score), kind="stable"):
        unmatched = np.where(found, 0, overlap[row])
        if len(unmatched) and unmatched.max() >= max(least_iou[detections.label[row]], 1e-9):
            right[row], found[unmatched.argmax()] = True, True
    return right, found


def _show_frame(
    detector: DetectorRuns, index: int, labels: GroundTruth, cutoffs: Mapping[str, np.ndarray], num_points: int
) -> ShownFrame:
    arms = {}
    for arm, seed in pick_one_run_per_arm(detector):
        every = detector.runs[arm][seed].detections.detections[index]
        kept = _find_evaluated(detector, every) & (every.score >= cutoffs[arm][every.label])
        arms[arm] = _judge_detections(detector, seed, index, every[kept], labels)
    return ShownFrame(detector.labels.frame_ids[index], _thin_points(detector, index, num_points), labels, arms)


def _judge_detections(
    detector: DetectorRuns, seed: int, index: int, detections: Detections, labels: GroundTruth
) -> ArmView:
    thresholds = np.asarray(detector.config.evaluation.metrics.iou_thresholds)
    right, found = match_greedily(detections, labels, thresholds[waymo_types(detector.config.data.classes) - 1])
    every = [Detections.empty()] * len(detector.labels.zones)
    every[index] = detections
    ignored = np.asarray(detector.labels.find_in_zones(every)[index], bool)
    outcome = np.where(right, TRUE, np.where(ignored, IGNORED, FALSE))
    return ArmView(seed, np.where(found, FOUND, MISSED), detections, outcome)


def _find_counted(detector: DetectorRuns, truth: GroundTruth) -> np.ndarray:
    """Find the labels (M,) bool that count: with a point on them, in the evaluated area."""
    counted: np.ndarray = (np.asarray(truth.num_points) > 0) & _find_evaluated(detector, truth)
    return counted


def _find_evaluated(detector: DetectorRuns, rows: GroundTruth | Detections) -> np.ndarray:
    """Find the boxes (N,) bool in the area that is evaluated."""
    x0, y0, x1, y1 = detector.config.evaluation.within or (-np.inf, -np.inf, np.inf, np.inf)
    x, y = rows.box[:, 0], rows.box[:, 1]
    inside: np.ndarray = (x >= x0) & (x <= x1) & (y >= y0) & (y <= y1)
    return inside


def _thin_points(detector: DetectorRuns, index: int, num_points: int) -> np.ndarray:
    """Draw `num_points` of the frame's points in the grid at random, as (P, 3)."""
    frame, grid = detector.labels.read_frame(index), detector.config.grid
    xyz = frame.points[:, :3]
    xyz = xyz[((xyz >= np.array(grid.lower)) & (xyz < np.array(grid.upper))).all(1)]
    kept = np.random.default_rng(0).permutation(len(xyz))[:num_points]
    return xyz[np.sort(kept)]


def _find_best_scores(metrics: DetectorMetrics, arm: str) -> np.ndarray:
    """Find the score (K,) of each class where the arm's F1 is best: arms differ in how high they score."""
    box_type, level, _ = metrics.ranking
    curves = [compute_precision_recall(metrics.detector, arm, name, box_type, level) for name in metrics.classes]
    return np.array([curve.find_best_score() for curve in curves])
