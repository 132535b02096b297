"""The same frames for every arm: points, labels, and what became of each label and detection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pcdet_poly.engine.outcomes import judge_boxes
from pcdet_poly.experiments.report.finished_sweep import DetectorRuns
from pcdet_poly.experiments.report.loss_behaviour import pick_one_run_per_arm
from pcdet_poly.experiments.report.metrics import DetectorMetrics
from pcdet_poly.experiments.report.precision_recall import compute_precision_recall
from pcdet_poly.structures import Detections, GroundTruth
from pcdet_poly.visualization.viewer.outcomes import HIDDEN


@dataclass(frozen=True)
class ArmView:
    """What one arm's run detected in a frame."""

    seed: int
    found: np.ndarray  # (M,) FOUND, MISSED or, where its match is left out for its heading, NOT_COUNTED of each label
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
    return [_show_frame(metrics, index, counted[index], cutoffs, num_points) for index in chosen]


def _show_frame(
    metrics: DetectorMetrics, index: int, labels: GroundTruth, cutoffs: Mapping[str, np.ndarray], num_points: int
) -> ShownFrame:
    detector = metrics.detector
    arms = {
        arm: _judge_detections(metrics, (arm, seed), index, labels, cutoffs[arm])
        for arm, seed in pick_one_run_per_arm(detector)
    }
    return ShownFrame(detector.labels.frame_ids[index], _thin_points(detector, index, num_points), labels, arms)


def _judge_detections(
    metrics: DetectorMetrics, run: tuple[str, int], index: int, labels: GroundTruth, best_score: np.ndarray
) -> ArmView:
    """Return what a run, an arm and a seed, detected from each class's best score (K,) up, as its metrics count it."""
    (arm, seed), detector = run, metrics.detector
    detections = detector.runs[arm][seed].detections.detections[index]
    cutoffs, position = np.unique(best_score.astype(np.float32), return_inverse=True)
    outcomes = judge_boxes(
        detections,
        labels,
        detector.config,
        cutoffs=cutoffs,
        zones=detector.labels.zones[index],
        box_type=metrics.ranking[0],
    )
    own_cutoff = position[np.asarray(detections.label, np.int64)]
    outcome = outcomes.judge_detections(own_cutoff)
    kept = (outcome != HIDDEN) & _find_evaluated(detector, detections)
    return ArmView(seed, outcomes.judge_labels(own_cutoff), detections[kept], outcome[kept])


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
