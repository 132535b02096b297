"""Metrics of every run, on all segments and resampled -> values, and differences with intervals.

Everything is in points: 100 times the metric.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from pcdet_poly.evaluation import draw_segments, resample_metrics
from pcdet_poly.experiments.report.finished_sweep import DetectorRuns, FinishedRun
from pcdet_poly.experiments.statistics import (
    MIN_SEEDS,
    Estimate,
    adjust_by_holm,
    detectable_difference,
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
    detectable: float  # smallest true difference that so many seeds find with 80 % power; NaN for fewer than MIN_SEEDS

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
        cfg = self.detector.config.evaluation.metrics
        shard = cell.class_name if cell.class_name in self._shards else f"OBJECT_TYPE_TYPE_{cell.class_name}"
        return points[
            ...,
            cfg.box_types.index(cell.box_type),
            self._shards.index(shard),
            cfg.levels.index(cell.level),
            METRICS.index(cell.metric),
        ]

    def get_points(self, arm: str, cell: TableCell) -> np.ndarray:
        """Get the points (S,) of the arm's runs, on all segments."""
        return np.array([self._select_run(arm, seed, cell)[0] for seed in self.detector.runs[arm]])

    def compare_arm(self, arm: str, cell: TableCell) -> ArmDifference:
        """Subtract the baseline from the arm, paired by seed and by segment."""
        seeds, baseline = self.detector.list_common_seeds(arm), self.detector.baseline
        apart = np.stack([self._select_run(arm, s, cell) - self._select_run(baseline, s, cell) for s in seeds], 1)
        by_seed, drawn, num = apart[0], apart[1:], len(self.segments)
        sd = float(by_seed.std(ddof=1)) if len(seeds) >= MIN_SEEDS else float("nan")
        return ArmDifference(
            arm,
            cell,
            tuple(seeds),
            tuple(by_seed.tolist()),
            estimate_over_seeds(by_seed),
            estimate_over_segments(by_seed, drawn, num),
            estimate_over_both(by_seed, drawn, num),
            detectable_difference(sd, len(seeds)),
        )

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
    """p of one arm and class after Holm's correction."""

    over_classes: float  # family: the arm's classes
    over_everything: float  # family: all arms and classes


def adjust_p(differences: Sequence[ArmDifference]) -> dict[tuple[str, str], AdjustedP]:
    """Adjust p, by (arm, class), of differences in one box type, level and metric; MEAN is in no family."""
    tested = [one for one in differences if one.cell.class_name != MEAN]
    everything = adjust_by_holm(np.array([one.claim.p for one in tested]))
    adjusted: dict[tuple[str, str], AdjustedP] = {}
    for arm in dict.fromkeys(one.arm for one in tested):
        family = [i for i, one in enumerate(tested) if one.arm == arm]
        over_classes = adjust_by_holm(np.array([tested[i].claim.p for i in family]))
        for p, i in zip(over_classes, family, strict=True):
            adjusted[arm, tested[i].cell.class_name] = AdjustedP(float(p), float(everything[i]))
    return adjusted
