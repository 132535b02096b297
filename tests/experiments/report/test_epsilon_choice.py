"""The choice of epsilon against one made by hand."""

from __future__ import annotations

from copy import copy
from dataclasses import replace

import numpy as np
import pytest

from pcdet_poly.experiments.report.epsilon_choice import choose_epsilon, find_epsilon_arms, find_trend_arms
from pcdet_poly.experiments.report.finished_sweep import DetectorRuns
from pcdet_poly.experiments.report.metrics import DetectorMetrics, RankingMetric

MAIN = RankingMetric("3D", 2, "aph")


def test_arms_of_a_trend_differ_by_its_setting_alone(detector: DetectorRuns) -> None:
    assert find_epsilon_arms(detector) == {"focal": 0.0, "epsilon1": 1.0}
    assert find_trend_arms(detector, "train.learning_rate") == {"focal": 0.01}
    assert find_trend_arms(detector, "no.such_setting") == {}


def test_too_few_seeds_choose_nothing(metrics: DetectorMetrics) -> None:
    assert choose_epsilon(metrics, MAIN, metrics.classes, resamples=5) is None


def test_epsilon_is_judged_by_seeds_and_segments_that_did_not_choose_it(
    detector: DetectorRuns, metrics: DetectorMetrics
) -> None:
    """Seeds 0 and 2 are one trained pair, 1 and 3 the other: the halves of the seeds are two networks each."""
    made = copy(metrics)
    made.__dict__.pop("complete_arms", None)
    made.detector = replace(detector, runs={a: {s: r[s % 2] for s in range(4)} for a, r in detector.runs.items()})
    found = choose_epsilon(made, MAIN, metrics.classes, resamples=5)
    assert found is not None
    assert not found.speaks_of_segments
    halves = np.array([[1.0, 0, 1, 0], [0, 1.0, 0, 1]])
    scores = {
        arm: np.array([made.average_classes(made.compute_points(r[s], halves), made.classes, MAIN) for s in (0, 1)])
        for arm, r in detector.runs.items()
    }
    gain = scores["epsilon1"] - scores["focal"]  # (seed half, segment half)
    chosen = gain > 0
    assert found.chosen == tuple(chosen.ravel().astype(float))
    assert found.chosen_gain == pytest.approx(np.where(chosen, gain, 0).mean())
    assert float(found.gain.mean) == pytest.approx(np.where(chosen[::-1, ::-1], gain, 0).mean())
