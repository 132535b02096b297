"""Shown frames, and matching against a loop over pairs of boxes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pcdet_poly.experiments.report.finished_sweep import DetectorRuns
from pcdet_poly.experiments.report.metrics import (
    DetectorMetrics,
)
from pcdet_poly.experiments.report.shown_frames import FALSE, TRUE, match_greedily, select_frames
from pcdet_poly.ops.iou import iou_3d
from pcdet_poly.structures import Detections, GroundTruth


def _greedy(found: Detections, labels: GroundTruth, least: float) -> tuple[list[bool], list[bool]]:
    """Pair by pair, as one would by hand."""
    right, taken = [False] * len(found), [False] * len(labels)
    for i in sorted(range(len(found)), key=lambda i: -found.score[i]):
        best, best_iou = -1, least
        for j in range(len(labels)):
            iou = float(iou_3d(torch.tensor(found.box[i : i + 1]), torch.tensor(labels.box[j : j + 1]))[0, 0])
            if not taken[j] and labels.label[j] == found.label[i] and iou >= best_iou:
                best, best_iou = j, iou + 1e-12
        if best >= 0:
            right[i] = taken[best] = True
    return right, taken


@pytest.mark.parametrize("seed", range(5))
def test_matching_against_a_loop(seed: int) -> None:
    rng = np.random.default_rng(seed)

    def boxes(num: int) -> np.ndarray:
        return np.column_stack([rng.uniform(-3, 3, (num, 2)), np.zeros(num), np.tile([4, 2, 1.5, 0.3], (num, 1))])

    found = Detections(boxes(8).astype(np.float32), rng.integers(0, 2, 8), rng.permutation(8).astype(np.float32) / 8)
    truth = GroundTruth.empty()
    ones, tracks = np.ones(6), np.array(["x"] * 6)
    labels = GroundTruth(boxes(6).astype(np.float32), rng.integers(0, 2, 6), ones, ones, tracks, np.zeros((6, 2)))
    right, taken = match_greedily(found, labels, [0.2, 0.2])
    assert (right.tolist(), taken.tolist()) == _greedy(found, labels, 0.2)
    assert right.any()
    assert not match_greedily(found, truth, [0.2, 0.2])[0].any()


def test_shown_frames_are_the_same_for_every_arm(detector: DetectorRuns, metrics: DetectorMetrics) -> None:
    first, second = select_frames(metrics, num_frames=2, num_points=50)
    assert first.frame_id != second.frame_id
    assert first.points.shape == (50, 3)
    assert list(first.arms) == ["focal", "drop1", "epsilon1"]
    for seen in first.arms.values():
        assert seen.seed == 0
        assert int((seen.outcome == TRUE).sum()) == int(seen.found.sum())
        assert set(seen.outcome.tolist()) <= {TRUE, FALSE}  # there are no no-label zones
    assert select_frames(metrics, num_frames=0, num_points=50) == []
