"""Metrics of every run, on all segments and resampled -> values, and differences with intervals.

Everything is in points: 100 times the metric.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.stats import t as student

from pcdet_poly.evaluation import draw_segments, resample_metrics
from pcdet_poly.experiments.arm_tests import ArmTable, count_effective_segments, pool_error
from pcdet_poly.experiments.detectable import find_detectable_effect
from pcdet_poly.experiments.many_arms import compare_with_baseline
from pcdet_poly.experiments.report.finished_sweep import DetectorRuns, FinishedRun
from pcdet_poly.experiments.statistics import (
    LEVEL,
    MIN_SEEDS,
    Estimate,
    adjust_by_holm,
    estimate_over_both,
    estimate_over_seeds,
    estimate_over_segments,
)

MEAN = "MEAN"  # the class that is the mean over all classes
METRICS = ("ap", "aph")


class RankingMetric(NamedTuple):
    """The metric that decides."""

    box_type: str  # "3D" or "BEV"
    level: int  # of difficulty
    metric: str  # "ap" or "aph"

    def __str__(self) -> str:
        return f"{self.box_type} LEVEL_{self.level} {self.metric.upper()}"


class TableCell(NamedTuple):
    """A cell of the tables, such as ("VEHICLE", "3D", 2, "aph")."""

    class_name: str  # a class, MEAN, or the name of another shard: "RANGE_TYPE_VEHICLE_[0, 30)"
    box_type: str
    level: int
    metric: str

    @property
    def ranking(self) -> RankingMetric:
        """The cell without its class."""
        return RankingMetric(self.box_type, self.level, self.metric)


@dataclass(frozen=True)
class ArmDifference:
    """An arm minus the baseline in one cell, points."""

    arm: str
    cell: TableCell
    seeds: tuple[int, ...]
    by_seed: tuple[float, ...]
    over_seeds: Estimate
    over_segments: Estimate
    over_both: Estimate
    # Smallest true difference that the table's rule, Holm over all arms and classes, finds with 80 % power, from a
    # deviation pooled over arms; NaN for fewer than MIN_SEEDS.
    detectable: float

    @property
    def claim(self) -> Estimate:
        """What a claim rests on: the interval over both, or over seeds where there are not two segments to resample.

        Fewer than MIN_SEEDS pairs allow no claim: then there is a mean, without interval and p.
        """
        if len(self.seeds) < MIN_SEEDS:
            return Estimate.from_mean(self.over_seeds.mean)
        return self.over_seeds if np.isnan(self.over_both.p) else self.over_both


class DetectorMetrics:
    """The metrics of one detector's runs.

    Args:
        detector: the runs.
        resamples: how many times to draw segments.
        seed: of these draws.
    """

    def __init__(self, detector: DetectorRuns, *, resamples: int, seed: int = 0) -> None:
        self.detector = detector
        self._errors: dict[TableCell, float] = {}
        self.segments = sorted(set(detector.labels.segments))
        num = len(self.segments)
        one_table = np.ones((1, num))
        self._draws = np.concatenate([one_table, draw_segments(num, resamples, seed)])
        # (arm, seed) -> (1 + resamples, box types, shards, levels, 2) points; the first is the table of all segments.
        self._points = {
            (arm, seed): self.compute_points(run, self._draws)
            for arm, runs in detector.runs.items()
            for seed, run in runs.items()
        }

    @staticmethod
    def compute_points(run: FinishedRun, draws: np.ndarray) -> np.ndarray:
        """Compute a run's points (D, box types, shards, levels, 2) on draws (D, G): how often each segment counts."""
        return 100 * resample_metrics(run.evaluator, draws)[..., : len(METRICS)].astype(np.float64)

    @cached_property
    def box_types(self) -> tuple[str, ...]:
        """Box types that were evaluated, BEV first as in the paper."""
        return tuple(sorted(self.detector.config.evaluation.metrics.box_types, reverse=True))

    @cached_property
    def _shards(self) -> Sequence[str]:
        """Names of the shards that were evaluated: classes, and classes by range."""
        first = next(run for runs in self.detector.runs.values() for run in runs.values())
        return first.evaluator.counter.layout.shards

    @property
    def levels(self) -> tuple[int, ...]:
        """Difficulty levels that were evaluated."""
        return self.detector.config.evaluation.metrics.levels

    @property
    def classes(self) -> tuple[str, ...]:
        """The detector's classes."""
        return self.detector.config.data.classes

    @property
    def shown_classes(self) -> tuple[str, ...]:
        """Every class, then MEAN where it is not the same as the only class."""
        return (*self.classes, MEAN) if len(self.classes) > 1 else self.classes

    @property
    def ranking(self) -> RankingMetric:
        """The metric that decides: Waymo's ranking, 3D LEVEL_2 APH, or what comes nearest to it."""
        box_type = "3D" if "3D" in self.box_types else self.box_types[0]
        return RankingMetric(box_type, max(self.levels), "aph")

    def list_cells(self, *class_names: str) -> list[TableCell]:
        """List all cells of the given classes (default: those shown)."""
        wanted = class_names or self.shown_classes
        return [TableCell(*each) for each in itertools.product(wanted, self.box_types, self.levels, METRICS)]

    def select_cell(self, points: np.ndarray, cell: TableCell) -> np.ndarray:
        """Select one cell (...) of points (..., box types, shards, levels, 2)."""
        if cell.class_name == MEAN:
            columns = [self.select_cell(points, cell._replace(class_name=name)) for name in self.classes]
            mean: np.ndarray = np.mean(columns, axis=0)
            return mean
        return self._select_shard(points, cell, self._shards)

    def _select_shard(self, points: np.ndarray, cell: TableCell, shards: Sequence[str]) -> np.ndarray:
        cfg = self.detector.config.evaluation.metrics
        name = cell.class_name if cell.class_name in shards else f"OBJECT_TYPE_TYPE_{cell.class_name}"
        indices = (cfg.box_types.index(cell.box_type), shards.index(name), cfg.levels.index(cell.level))
        chosen: np.ndarray = points[(..., *indices, METRICS.index(cell.metric))]
        return chosen

    def get_points(self, arm: str, cell: TableCell) -> np.ndarray:
        """Get the points (S,) of the arm's runs, on all segments."""
        return np.array([self._select_run(arm, seed, cell)[0] for seed in self.detector.runs[arm]])

    @cached_property
    def _low_iou_points(self) -> dict[tuple[str, int], np.ndarray]:
        """Points as `_points` has them, counted where a part of the official overlap is enough."""
        runs = self.detector.runs
        return {
            (arm, seed): 100 * resample_metrics(run.low_iou, self._draws)[..., : len(METRICS)].astype(np.float64)
            for arm in runs
            for seed, run in runs[arm].items()
        }

    @cached_property
    def complete_arms(self) -> list[str]:
        """The baseline and the arms that have all its seeds: planned questions are asked of these."""
        seeds = set(self.detector.runs[self.detector.baseline])
        return [arm for arm, runs in self.detector.runs.items() if seeds and set(runs) >= seeds]

    @property
    def complete_seeds(self) -> list[int]:
        """The seeds that all complete arms have."""
        return list(self.detector.runs[self.detector.baseline])

    def average_classes(
        self, points: np.ndarray, classes: Sequence[str], ranking: RankingMetric, *, low_iou: bool = False
    ) -> np.ndarray:
        """Average points over classes in one metric.

        Args:
            points: (..., box types, shards, levels, 2).
            classes: those whose mean is taken.
            ranking: the metric.
            low_iou: whether the points are those of the lower overlap, which come without ranges.

        Returns:
            (...).
        """
        shards = self._low_iou_shards if low_iou else self._shards
        columns = [self._select_shard(points, TableCell(name, *ranking), shards) for name in classes]
        mean: np.ndarray = np.mean(columns, axis=0)
        return mean

    @property
    def _low_iou_shards(self) -> Sequence[str]:
        first = next(run for runs in self.detector.runs.values() for run in runs.values())
        return first.low_iou.counter.layout.shards

    def build_table(self, ranking: RankingMetric, classes: Sequence[str], *, low_iou: bool = False) -> ArmTable:
        """Build the table of seeds and complete arms, for the tests of planned questions.

        Args:
            ranking: the metric.
            classes: those whose mean is taken.
            low_iou: count where a part of the official overlap is enough.

        Returns:
            Points (S, A), and those on draws of segments.
        """
        by_run = self._low_iou_points if low_iou else self._points
        values = [
            [self.average_classes(by_run[arm, seed], classes, ranking, low_iou=low_iou) for arm in self.complete_arms]
            for seed in self.complete_seeds
        ]
        points = np.moveaxis(np.array(values), 2, 0)  # (1 + R, S, A)
        return ArmTable(points[0], points[1:], self.count_segments(classes))

    def count_segments(self, classes: Sequence[str], kept: np.ndarray | None = None) -> float:
        """Count the segments, or those `kept` (G,) bool, by their objects of these classes: their effective number."""
        labels, names = self.detector.labels, self.classes
        counts = {segment: np.zeros(len(names)) for segment in self.segments}
        for segment, truth in zip(labels.segments, labels.ground_truth, strict=True):
            counts[segment] += np.bincount(np.asarray(truth.label)[truth.num_points > 0], minlength=len(names))
        table = np.array(list(counts.values()))[:, [names.index(name) for name in classes]]  # (G, classes)
        table = table if kept is None else table[kept]
        shares = table / np.maximum(table.sum(0), 1)
        return float(count_effective_segments(shares.sum(1)))

    def compare_arm(self, arm: str, cell: TableCell) -> ArmDifference:
        """Subtract the baseline from the arm, paired by seed and by segment."""
        seeds, baseline = self.detector.list_common_seeds(arm), self.detector.baseline
        apart = np.stack([self._select_run(arm, s, cell) - self._select_run(baseline, s, cell) for s in seeds], 1)
        by_seed, drawn, num = apart[0], apart[1:], len(self.segments)
        return ArmDifference(
            arm,
            cell,
            tuple(seeds),
            tuple(by_seed.tolist()),
            estimate_over_seeds(by_seed),
            estimate_over_segments(by_seed, drawn, num),
            estimate_over_both(by_seed, drawn, num),
            self._find_detectable(cell, len(seeds)),
        )

    def _find_detectable(self, cell: TableCell, num_seeds: int) -> float:
        if num_seeds < MIN_SEEDS:
            return math.nan
        family = max(len(self.compared_arms) * len(self.classes), 1)
        limit = float(student.ppf(1 - LEVEL / 2 / family, num_seeds - 1))
        error = math.sqrt(2 * self._pool_error(cell) / num_seeds)
        return find_detectable_effect(limit, float(num_seeds - 1)) * error

    def _pool_error(self, cell: TableCell) -> float:
        """The residual variance of one run in a cell, pooled over complete arms."""
        if cell not in self._errors:
            table = [
                [self._select_run(arm, seed, cell)[0] for arm in self.complete_arms] for seed in self.complete_seeds
            ]
            self._errors[cell] = float(pool_error(np.array(table))[0])
        return self._errors[cell]

    def compare_arms(self, cell: TableCell) -> list[ArmDifference]:
        """Compare every arm that has a pair of runs."""
        return [self.compare_arm(arm, cell) for arm in self.compared_arms]

    @property
    def compared_arms(self) -> list[str]:
        """Arms other than the baseline with at least one pair of runs."""
        detector = self.detector
        return [arm for arm in detector.runs if arm != detector.baseline and detector.list_common_seeds(arm)]

    def _select_run(self, arm: str, seed: int, cell: TableCell) -> np.ndarray:
        return self.select_cell(self._points[arm, seed], cell)


@dataclass(frozen=True)
class AdjustedP:
    """p of one arm and class after correction."""

    over_classes: float  # Holm; family: the arm's classes
    over_everything: float  # Holm; family: all arms and classes. Of MEAN: `compare_with_baseline` over all arms


def adjust_p(differences: Sequence[ArmDifference]) -> dict[tuple[str, str], AdjustedP]:
    """Adjust p, by (arm, class), of differences in one box type, level and metric; MEAN is in no such family."""
    tested = [one for one in differences if one.cell.class_name != MEAN]
    everything = adjust_by_holm(np.array([one.claim.p for one in tested]))
    adjusted: dict[tuple[str, str], AdjustedP] = {}
    for arm in dict.fromkeys(one.arm for one in tested):
        family = [i for i, one in enumerate(tested) if one.arm == arm]
        over_classes = adjust_by_holm(np.array([tested[i].claim.p for i in family]))
        for p, i in zip(over_classes, family, strict=True):
            adjusted[arm, tested[i].cell.class_name] = AdjustedP(float(p), float(everything[i]))
    return adjusted


def adjust_mean_p(metrics: DetectorMetrics) -> dict[tuple[str, str], AdjustedP]:
    """Adjust p of the mean over classes in the ranking metric: all complete arms against the baseline, judged together.

    There are none where fewer than two arms are complete, or where there is only one class.
    """
    arms = metrics.complete_arms
    if len(arms) < 2 or MEAN not in metrics.shown_classes:
        return {}
    table = metrics.build_table(metrics.ranking, metrics.classes)
    many = compare_with_baseline(table, arms.index(metrics.detector.baseline))
    return {(arms[arm], MEAN): AdjustedP(math.nan, float(e.p)) for arm, e in zip(many.arms, many.adjusted, strict=True)}
