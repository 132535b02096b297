"""Frames that the report shows."""

from __future__ import annotations

from pcdet_poly.experiments.report.finished_sweep import DetectorRuns
from pcdet_poly.experiments.report.metrics import (
    DetectorMetrics,
)
from pcdet_poly.experiments.report.shown_frames import select_frames
from pcdet_poly.visualization.viewer.outcomes import FALSE, FOUND, TRUE


def test_shown_frames_are_the_same_for_every_arm(detector: DetectorRuns, metrics: DetectorMetrics) -> None:
    first, second = select_frames(metrics, num_frames=2, num_points=50)
    assert first.frame_id != second.frame_id
    assert first.points.shape == (50, 3)
    assert list(first.arms) == ["focal", "drop1", "epsilon1"]
    for seen in first.arms.values():
        assert seen.seed == 0
        assert int((seen.outcome == TRUE).sum()) == int((seen.found == FOUND).sum())
        assert set(seen.outcome.tolist()) <= {TRUE, FALSE}  # there are no no-label zones
    assert select_frames(metrics, num_frames=0, num_points=50) == []
