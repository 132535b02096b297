"""The choice of epsilon against one made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from pcdet_poly.experiments.report.epsilon_choice import choose_on_halves, find_epsilon_arms
from pcdet_poly.experiments.report.finished_sweep import DetectorRuns
from pcdet_poly.experiments.report.metrics import (
    MEAN,
    DetectorMetrics,
    RankingMetric,
    TableCell,
)

MAIN = RankingMetric("3D", 2, "aph")


def test_epsilon_is_chosen_on_one_half_and_reported_on_the_other(
    detector: DetectorRuns, metrics: DetectorMetrics
) -> None:
    assert find_epsilon_arms(detector) == {"focal": 0.0, "epsilon1": 1.0}
    choices = choose_on_halves(metrics, resamples=50)
    assert len(choices) == 2
    halves = np.array([[1.0, 0, 1, 0], [0, 1.0, 0, 1]])
    scores = {
        arm: np.mean(
            [
                metrics.select_cell(metrics.compute_points(r, halves), TableCell(MEAN, *MAIN))
                for r in detector.runs[arm].values()
            ],
            axis=0,
        )
        for arm in ("focal", "epsilon1")
    }
    gain = scores["epsilon1"] - scores["focal"]
    for choice, on, off in zip(choices, gain, gain[::-1], strict=True):
        if on > 0:
            assert (choice.arm, choice.epsilon) == ("epsilon1", 1.0)
            assert choice.chosen_gain == pytest.approx(on)
            assert choice.held_out_gain is not None
            assert float(choice.held_out_gain.mean) == pytest.approx(off)
        else:
            assert (choice.arm, choice.chosen_gain, choice.held_out_gain) == ("focal", 0.0, None)
