"""Metrics of every run, on all segments and resampled -> values, and differences with intervals.

A cell of the tables is (class, part, level, metric), such as ("VEHICLE", "3D", 2, "aph"). The class MEAN is the mean
over all classes. Everything is in points: 100 times the metric.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pcdet_poly.evaluation import draw_segments, resampled
from pcdet_poly.experiments.report.finished_sweep import Model, Trained
from pcdet_poly.experiments.statistics import Estimate, detectable, holm, over_both, over_seeds, over_segments

MEAN = "MEAN"
METRICS = ("ap", "aph")
Cell = tuple[str, str, int, str]  # class or RANGE shard, part, level, metric


@dataclass(frozen=True)
class Difference:
    """An arm minus the baseline in one cell, points."""

    arm: str
    cell: Cell
    seeds: tuple[int, ...]
    by_seed: tuple[float, ...]
    over_seeds: Estimate
    over_segments: Estimate
    over_both: Estimate
    detectable: float  # smallest true difference that so many seeds find with 80 % power

    @property
    def claim(self) -> Estimate:
        """The interval for claims: over both; over seeds where there are not two segments to resample."""
        return self.over_seeds if np.isnan(self.over_both.p) else self.over_both


class Numbers:
    """The metrics of one model's runs."""

    def __init__(self, model: Model, *, resamples: int, seed: int = 0) -> None:
        self.model = model
        self.segments = sorted(set(model.labels.segments))
        num = len(self.segments)
        one_table = np.ones((1, num))
        self._draws = np.concatenate([one_table, draw_segments(num, resamples, seed)])
        # (arm, seed) -> (1 + resamples, parts, shards, levels, 2) points; the first is the table of all segments.
        self._values = {
            (arm, seed): self.on(trained, self._draws)
            for arm, runs in model.runs.items()
            for seed, trained in runs.items()
        }

    @staticmethod
    def on(trained: Trained, draws: np.ndarray) -> np.ndarray:
        """(draws, parts, shards, levels, 2) points of a run, each segment as often as its draw says."""
        return 100 * resampled(trained.evaluator, draws)[..., : len(METRICS)].astype(np.float64)

    @cached_property
    def parts(self) -> tuple[str, ...]:
        """Box types that were evaluated, BEV first as in the paper."""
        return tuple(sorted(self.model.config.evaluation.metrics.box_types, reverse=True))

    @property
    def levels(self) -> tuple[int, ...]:
        """Difficulty levels that were evaluated."""
        return self.model.config.evaluation.metrics.levels

    @property
    def shown(self) -> tuple[str, ...]:
        """Every class, then MEAN where it is not the same as the only class."""
        classes = self.model.config.data.classes
        return (*classes, MEAN) if len(classes) > 1 else classes

    def cells(self, *names: str) -> list[Cell]:
        """All cells of the given classes (default: those shown)."""
        wanted = names or self.shown
        return list(itertools.product(wanted, self.parts, self.levels, METRICS))

    @property
    def main(self) -> tuple[str, int, str]:
        """Part, level and metric that decide: Waymo's ranking, LEVEL_2 APH."""
        return "3D" if "3D" in self.parts else self.parts[0], max(self.levels), "aph"

    def column(self, values: np.ndarray, cell: Cell) -> np.ndarray:
        """`values` (..., parts, shards, levels, 2) in one cell (...)."""
        name, part, level, metric = cell
        if name == MEAN:
            classes = self.model.config.data.classes
            mean: np.ndarray = np.mean([self.column(values, (c, part, level, metric)) for c in classes], axis=0)
            return mean
        cfg = self.model.config.evaluation.metrics
        layout = next(iter(self._trained())).evaluator.plan.layout
        shard = name if name in layout.shards else f"OBJECT_TYPE_TYPE_{name}"
        return values[
            ..., cfg.box_types.index(part), layout.shards.index(shard), cfg.levels.index(level), METRICS.index(metric)
        ]  # fmt: skip

    def values(self, arm: str, cell: Cell) -> np.ndarray:
        """(S,) points of the arm's runs."""
        return np.array([self.column(self._values[arm, seed], cell)[0] for seed in self.model.runs[arm]])

    def difference(self, arm: str, cell: Cell) -> Difference:
        """The arm minus the baseline, paired by seed and by segment."""
        seeds = self.model.common_seeds(arm)
        apart = np.stack([self._column(arm, s, cell) - self._column(self.model.baseline, s, cell) for s in seeds], 1)
        by_seed, drawn, num = apart[0], apart[1:], len(self.segments)
        sd = float(by_seed.std(ddof=1)) if len(seeds) > 1 else float("nan")
        return Difference(
            arm,
            cell,
            tuple(seeds),
            tuple(by_seed.tolist()),
            over_seeds(by_seed),
            over_segments(by_seed, drawn, num),
            over_both(by_seed, drawn, num),
            detectable(sd, len(seeds)),
        )

    def differences(self, cell: Cell) -> list[Difference]:
        """Of every arm with a pair of runs."""
        return [self.difference(arm, cell) for arm in self.compared_arms]

    @property
    def compared_arms(self) -> list[str]:
        """Arms other than the baseline with at least one pair of runs."""
        return [arm for arm in self.model.runs if arm != self.model.baseline and self.model.common_seeds(arm)]

    def _column(self, arm: str, seed: int, cell: Cell) -> np.ndarray:
        return self.column(self._values[arm, seed], cell)

    def _trained(self) -> list[Trained]:
        return [trained for runs in self.model.runs.values() for trained in runs.values()]


@dataclass(frozen=True)
class Corrected:
    """p of one arm and class after Holm's correction."""

    over_classes: float  # family: the arm's classes
    over_everything: float  # family: all arms and classes


def corrected(found: Sequence[Difference]) -> dict[tuple[str, str], Corrected]:
    """Holm's p by (arm, class) of differences in one part, level and metric; MEAN is in no family."""
    tested = [one for one in found if one.cell[0] != MEAN]
    everything = holm(np.array([one.claim.p for one in tested]))
    result: dict[tuple[str, str], Corrected] = {}
    for arm in dict.fromkeys(one.arm for one in tested):
        places = [i for i, one in enumerate(tested) if one.arm == arm]
        of_arm = holm(np.array([tested[i].claim.p for i in places]))
        for p, i in zip(of_arm, places, strict=True):
            result[arm, tested[i].cell[0]] = Corrected(float(p), float(everything[i]))
    return result
