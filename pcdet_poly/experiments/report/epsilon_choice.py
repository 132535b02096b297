"""Choose epsilon: which arms lie on its curve, and what the best one gains on segments that did not choose it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pcdet_poly.engine.checkpoint import config_values, find_first_difference
from pcdet_poly.evaluation import draw_segments
from pcdet_poly.experiments.cross_fit import MIN_CROSSED_SEEDS, MIN_CROSSED_SEGMENTS, choose_crosswise
from pcdet_poly.experiments.report.finished_sweep import DetectorRuns
from pcdet_poly.experiments.report.metrics import DetectorMetrics, RankingMetric
from pcdet_poly.experiments.statistics import Estimate

_EPSILON = "classification.epsilon"
_LEAST_SEGMENTS = 4  # two in each half


def find_epsilon_arms(detector: DetectorRuns) -> dict[str, float]:
    """Find the arms that differ from the baseline by one number epsilon and nothing else.

    The baseline is among them. They come with their epsilon, ascending.
    """
    return find_trend_arms(detector, _EPSILON)


def find_trend_arms(detector: DetectorRuns, setting: str) -> dict[str, float]:
    """Find the arms that differ from the baseline by one numeric setting, such as "train.learning_rate", alone.

    The baseline is among them. They come with their value, ascending; there are none where the setting is no number.
    """
    base, found = config_values(detector.config), {}
    for arm, config in detector.configs.items():
        values = config_values(config)
        value = _look_up(values, setting)
        other = find_first_difference(base, values, ignore=frozenset({setting, "train.seed"}))
        if other is None and isinstance(value, float | int) and not isinstance(value, bool):
            found[arm] = float(value)
    return dict(sorted(found.items(), key=lambda item: item[1]))


def _look_up(values: Mapping[str, Any], setting: str) -> Any:
    for word in setting.split("."):
        values = values.get(word, {}) if isinstance(values, Mapping) else {}
    return values


@dataclass(frozen=True)
class EpsilonChoice:
    """What four parts of the runs chose, and what such a choice gains on seeds and segments that did not choose."""

    chosen: tuple[float, ...]  # the epsilon that each of the four parts chose
    chosen_gain: float  # mean difference from the baseline where it was chosen: too good by construction
    gain: Estimate  # on the opposite parts
    speaks_of_segments: bool  # whether the interval includes the choice of segments


def choose_epsilon(
    metrics: DetectorMetrics, ranking: RankingMetric, classes: Sequence[str], *, resamples: int, seed: int = 0
) -> EpsilonChoice | None:
    """Choose epsilon on half of the seeds and segments, and judge it on the other half of both, crosswise.

    Args:
        metrics: of the detector's runs.
        ranking: the metric.
        classes: those whose mean is taken.
        resamples: how many times to draw the segments of each half.
        seed: of these draws.

    Returns:
        The choice; None where there are too few seeds or segments to halve, or only one complete arm of the curve.
    """
    epsilons = {
        arm: value for arm, value in find_epsilon_arms(metrics.detector).items() if arm in metrics.complete_arms
    }
    num = len(metrics.segments)
    if num < _LEAST_SEGMENTS or len(epsilons) < 2 or len(metrics.complete_seeds) < MIN_CROSSED_SEEDS:
        return None
    points = _compute_halves(metrics, list(epsilons), ranking, classes, resamples, seed)
    count = 2 * min(metrics.count_segments(classes, np.arange(num) % 2 == half) for half in (0, 1))
    baseline = list(epsilons).index(metrics.detector.baseline)
    found = choose_crosswise(points[0], baseline, points[1:], count)
    values = list(epsilons.values())
    chosen = tuple(values[arm] for arm in found.chosen.ravel())
    return EpsilonChoice(chosen, float(found.chosen_gain), found.gain, count >= MIN_CROSSED_SEGMENTS)


def _compute_halves(
    metrics: DetectorMetrics,
    arms: Sequence[str],
    ranking: RankingMetric,
    classes: Sequence[str],
    resamples: int,
    seed: int,
) -> np.ndarray:
    """Points (1 + R, 2, S, A) on both halves of the segments: on all of a half, then on draws of it."""
    num = len(metrics.segments)
    draws = np.zeros((2, 1 + resamples, num))
    for half in (0, 1):
        of_half = np.arange(num) % 2 == half
        drawn = draw_segments(int(of_half.sum()), resamples, seed + half)
        draws[half][:, of_half] = np.concatenate([np.ones((1, int(of_half.sum()))), drawn])
    columns = [
        [
            metrics.average_classes(
                metrics.compute_points(metrics.detector.runs[arm][s], draws.reshape(-1, num)), classes, ranking
            )
            for arm in arms
        ]
        for s in metrics.complete_seeds
    ]
    return np.moveaxis(np.array(columns).reshape(len(columns), len(arms), 2, 1 + resamples), (2, 3), (1, 0))
