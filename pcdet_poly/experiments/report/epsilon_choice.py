"""Choose epsilon: which arms lie on its curve, and what the best one gains on segments that did not choose it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pcdet_poly.config.sections.losses import PolyConfig
from pcdet_poly.engine.checkpoint import config_values, find_first_difference
from pcdet_poly.evaluation import draw_segments
from pcdet_poly.experiments.report.finished_sweep import DetectorRuns
from pcdet_poly.experiments.report.metrics import MEAN, DetectorMetrics, TableCell
from pcdet_poly.experiments.statistics import MIN_SEEDS, Estimate, estimate_over_both, estimate_over_seeds

_EPSILON = "classification.epsilon"
_LEAST_SEGMENTS = 4  # two in each half


def find_epsilon_arms(detector: DetectorRuns) -> dict[str, float]:
    """Find the arms that differ from the baseline by one number epsilon and nothing else.

    The baseline is among them. They come with their epsilon, ascending.
    """
    base, epsilons = config_values(detector.config), {}
    for arm, config in detector.configs.items():
        loss = config.classification
        epsilon = loss.epsilon if isinstance(loss, PolyConfig) else None
        other = find_first_difference(base, config_values(config), ignore=frozenset({_EPSILON, "train.seed"}))
        if other is None and isinstance(epsilon, float):
            epsilons[arm] = epsilon
    return dict(sorted(epsilons.items(), key=lambda item: item[1]))


@dataclass(frozen=True)
class EpsilonChoice:
    """The best arm on some segments, and its difference from the baseline there and on the others."""

    arm: str
    epsilon: float
    chosen_gain: float  # difference on the segments that chose it: too good by construction
    held_out_gain: Estimate | None  # on the other segments; None where the baseline was chosen


def choose_on_halves(metrics: DetectorMetrics, *, resamples: int, seed: int = 0) -> list[EpsilonChoice]:
    """Choose epsilon on every second segment and report on the rest, then the other way round.

    Best is the highest mean over seeds of the mean over classes of the ranking metric.

    Args:
        metrics: of the detector's runs.
        resamples: how many times to draw the segments that did not choose.
        seed: of these draws.

    Returns:
        A choice for each half. Empty where there are too few segments, or where not two arms of the curve have a run
        with each of the seeds.
    """
    arms, seeds = _find_comparable_arms(metrics.detector)
    num = len(metrics.segments)
    if num < _LEAST_SEGMENTS or len(arms) < 2:
        return []
    first_half = np.arange(num) % 2 == 0
    return [_choose_on_half(metrics, arms, seeds, half, resamples, seed) for half in (first_half, ~first_half)]


def _find_comparable_arms(detector: DetectorRuns) -> tuple[dict[str, float], list[int]]:
    """Find the curve's arms that have all the baseline's seeds, and these seeds: other means do not compare."""
    seeds = list(detector.runs[detector.baseline])
    complete = {arm: eps for arm, eps in find_epsilon_arms(detector).items() if set(detector.runs[arm]) >= set(seeds)}
    return (complete if seeds else {}), seeds


def _choose_on_half(
    metrics: DetectorMetrics, arms: dict[str, float], seeds: Sequence[int], half: np.ndarray, resamples: int, seed: int
) -> EpsilonChoice:
    cell = TableCell(MEAN, *metrics.ranking)
    runs, baseline = metrics.detector.runs, metrics.detector.baseline
    other = ~half
    drawn = np.zeros((resamples, len(half)))
    drawn[:, other] = draw_segments(int(other.sum()), resamples, seed)
    draws = np.concatenate([half[None], other[None], drawn]).astype(np.float64)

    def compute_column(arm: str) -> np.ndarray:  # (2 + resamples, S)
        return np.stack([metrics.select_cell(metrics.compute_points(runs[arm][s], draws), cell) for s in seeds], 1)

    columns = {arm: compute_column(arm) for arm in arms}
    best = max(arms, key=lambda arm: (columns[arm][0].mean(), arm == baseline))
    apart = columns[best] - columns[baseline]
    held_out = estimate_over_both(apart[1], apart[2:], int(other.sum()))
    if np.isnan(held_out.p) and len(seeds) >= MIN_SEEDS:
        held_out = estimate_over_seeds(apart[1])
    return EpsilonChoice(best, arms[best], float(apart[0].mean()), None if best == baseline else held_out)
