"""Epsilon: which arms are points of its curve, and what is left of the best one on segments that did not choose it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pcdet_poly.engine.checkpoint import config_values, first_difference
from pcdet_poly.evaluation import draw_segments
from pcdet_poly.experiments.report.finished_sweep import Model
from pcdet_poly.experiments.report.metrics import MEAN, Cell, Numbers
from pcdet_poly.experiments.statistics import Estimate, over_both, over_seeds

_EPSILON = "classification.epsilon"
_LEAST_SEGMENTS = 4  # two in each half


def epsilon_arms(model: Model) -> dict[str, float]:
    """Arms that differ from the baseline by one number epsilon and nothing else, the baseline among them, ascending."""
    base, found = config_values(model.config), {}
    for arm, config in model.configs.items():
        epsilon = config.classification.epsilon
        other = first_difference(base, config_values(config), ignore=frozenset({_EPSILON, "train.seed"}))
        if other is None and isinstance(epsilon, float):
            found[arm] = epsilon
    return dict(sorted(found.items(), key=lambda item: item[1]))


@dataclass(frozen=True)
class Choice:
    """The best arm on some segments, and its difference from the baseline there and on the others."""

    arm: str
    epsilon: float
    seen: float  # difference on the segments that chose it: too good by construction
    unseen: Estimate | None  # on the other segments; None where the baseline was chosen


def choose_on_halves(numbers: Numbers, *, resamples: int, seed: int = 0) -> list[Choice]:
    """Choose epsilon on every second segment and report on the rest, then the other way round.

    Best is the highest mean over seeds of the mean over classes of the ranking metric. Empty where there are too few
    segments, or no two arms of the curve have a run with each of the seeds.
    """
    arms, seeds = _comparable(numbers.model)
    num = len(numbers.segments)
    if num < _LEAST_SEGMENTS or len(arms) < 2:
        return []
    first_half = np.arange(num) % 2 == 0
    return [_choose(numbers, arms, seeds, half, resamples, seed) for half in (first_half, ~first_half)]


def _comparable(model: Model) -> tuple[dict[str, float], list[int]]:
    """Arms of the curve with all the baseline's seeds, and these seeds: a choice among means of other seeds is none."""
    seeds = list(model.runs[model.baseline])
    complete = {arm: eps for arm, eps in epsilon_arms(model).items() if set(model.runs[arm]) >= set(seeds)}
    return (complete if seeds else {}), seeds


def _choose(
    numbers: Numbers, arms: dict[str, float], seeds: Sequence[int], half: np.ndarray, resamples: int, seed: int
) -> Choice:
    cell: Cell = (MEAN, *numbers.main)
    runs, baseline = numbers.model.runs, numbers.model.baseline
    other = ~half
    drawn = np.zeros((resamples, len(half)))
    drawn[:, other] = draw_segments(int(other.sum()), resamples, seed)
    draws = np.concatenate([half[None], other[None], drawn]).astype(np.float64)

    def column(arm: str) -> np.ndarray:  # (2 + resamples, S)
        return np.stack([numbers.column(numbers.on(runs[arm][s], draws), cell) for s in seeds], 1)

    columns = {arm: column(arm) for arm in arms}
    best = max(arms, key=lambda arm: (columns[arm][0].mean(), arm == baseline))
    apart = columns[best] - columns[baseline]
    unseen = over_both(apart[1], apart[2:], int(other.sum()))
    if np.isnan(unseen.p):
        unseen = over_seeds(apart[1])
    return Choice(best, arms[best], float(apart[0].mean()), None if best == baseline else unseen)
