"""Precision-recall curves against counts by hand."""

from __future__ import annotations

import numpy as np
import pytest

from pcdet_poly.experiments.report.finished_sweep import DetectorRuns
from pcdet_poly.experiments.report.precision_recall import PrecisionRecall, compute_precision_recall


def test_best_score_is_where_f1_is_best() -> None:
    curve = PrecisionRecall(np.array([0.2, 0.5, 0.6]), np.array([1.0, 0.8, 0.4]), np.array([0.9, 0.5, 0.1]))
    assert curve.find_best_score() == 0.5
    assert PrecisionRecall(np.zeros(0), np.zeros(0), np.zeros(0)).find_best_score() == 1.0


def test_curves_add_the_seeds_counts(detector: DetectorRuns) -> None:
    curve = compute_precision_recall(detector, "focal", "VEHICLE", "3D", 2)
    assert (np.diff(curve.recall) >= 0).all()
    found = [d for r in detector.runs["focal"].values() for d in r.detections.detections]
    counted = sum(int(((d.label == 0) & (d.score >= curve.cutoff[-1])).sum()) for d in found)
    objects = 2 * sum(int((t.label == 0).sum()) for t in detector.labels.ground_truth)
    right = curve.recall[-1] * objects
    # Whole numbers, by way of shares in float32.
    assert right / counted == pytest.approx(curve.precision[-1], rel=1e-4)
