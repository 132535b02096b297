"""Waymo's detection metrics: `evaluate` for a list of frames, `Evaluator` for frames as they come."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from pcdet_poly.config.sections.evaluation import MetricsConfig
from pcdet_poly.errors import UserError
from pcdet_poly.evaluation.ap_table import ApTable, compute_values, name_values
from pcdet_poly.evaluation.box_tables import EvaluationSet
from pcdet_poly.evaluation.cutoffs import estimate_cutoffs
from pcdet_poly.evaluation.kernels.average_precision import accumulate_increments
from pcdet_poly.evaluation.kernels.outcome_counts import FP
from pcdet_poly.evaluation.match_counter import MatchCounter
from pcdet_poly.evaluation.tabulate import Limits, build_evaluation_set, crop_to_limits
from pcdet_poly.structures import Detections, GroundTruth


def evaluate(
    detections: Sequence[Detections],
    ground_truth: Sequence[GroundTruth],
    cfg: MetricsConfig | None = None,
    *,
    class_names: Sequence[str],
    no_label_zone: Sequence[np.ndarray] | None = None,
    within: Limits | None = None,
    threads: int = 1,
) -> ApTable:
    """AP and APH of all frames: frame i has `detections[i]` and `ground_truth[i]`.

    Labels of both point into `class_names`, which are Waymo's. Objects without a LiDAR point do not count.
    `no_label_zone[i]` (N,) marks detections in a no-label zone: unmatched, they are no false positives.
    `within` (x0, y0, x1, y1) drops boxes, on both sides, with a centre outside.
    """
    problem = build_evaluation_set(detections, ground_truth, class_names=class_names, no_label_zone=no_label_zone)
    return evaluate_set(problem, cfg, within=within, threads=threads)


def evaluate_set(
    problem: EvaluationSet, cfg: MetricsConfig | None = None, *, within: Limits | None = None, threads: int = 1
) -> ApTable:
    """As `evaluate`, from flat tables."""
    return run_evaluator(problem, cfg, within=within, threads=threads).compute()


def run_evaluator(
    problem: EvaluationSet,
    cfg: MetricsConfig | None = None,
    *,
    class_names: Sequence[str] = (),
    within: Limits | None = None,
    threads: int = 1,
) -> Evaluator:
    """An evaluator that has seen a problem's frames."""
    cutoffs = resolve_cutoffs(cfg or MetricsConfig(), problem, within=within)
    evaluator = Evaluator(cutoffs, class_names=class_names, within=within)
    evaluator.add(problem, threads=threads)
    return evaluator


def resolve_cutoffs(cfg: MetricsConfig, *problems: EvaluationSet, within: Limits | None = None) -> MetricsConfig:
    """`cfg` with the score cut-offs listed, if it left them to be estimated from the scores of `problems`."""
    if not isinstance(cfg.score_cutoffs, int):
        return cfg
    scores = np.concatenate([crop_to_limits(problem, within).predictions.score for problem in problems])
    return cfg.model_copy(update={"score_cutoffs": tuple(estimate_cutoffs(scores, cfg.score_cutoffs).tolist())})


class Evaluator:
    """Counts of all frames seen so far: memory grows with the number of segments, never with that of frames.

    The order of frames, and how they were spread over evaluators that are merged, changes no bit of the result.
    """

    def __init__(
        self, cfg: MetricsConfig | None = None, *, class_names: Sequence[str] = (), within: Limits | None = None
    ) -> None:
        self.counter = MatchCounter(cfg or MetricsConfig())
        self.class_names = tuple(class_names)
        self.within = within
        self.num_frames = self.num_predictions = self.num_objects = 0
        self.seconds = 0.0  # spent on evaluating
        self.increments: dict[str, np.ndarray] = {}  # segment -> (parts, rows, NUM_COUNTS, C) int64

    def update(
        self,
        detections: Sequence[Detections],
        ground_truth: Sequence[GroundTruth],
        *,
        no_label_zone: Sequence[np.ndarray] | None = None,
        segments: Sequence[str] | None = None,
    ) -> None:
        """Add frames; see `evaluate`. `segments` names each frame's segment, for the bootstrap."""
        self.add(
            build_evaluation_set(
                detections,
                ground_truth,
                class_names=self.class_names,
                no_label_zone=no_label_zone,
                segments=segments,
            )
        )

    def add(self, problem: EvaluationSet, *, threads: int = 1) -> None:
        """Add the frames of a problem."""
        start = time.perf_counter()
        problem = crop_to_limits(problem, self.within)
        self._add_increments(self.counter.count(problem, threads=threads))
        self.seconds += time.perf_counter() - start
        self.num_frames += problem.num_frames
        self.num_predictions += len(problem.predictions)
        self.num_objects += len(problem.objects)

    def merge(self, other: Evaluator) -> None:
        """Add everything that `other` has seen."""
        if (self.counter.cfg, self.within) != (other.counter.cfg, other.within):
            raise UserError("merge: the two evaluators have different settings; build both from one config")
        self._add_increments(other.increments)
        self.seconds += other.seconds
        self.num_frames += other.num_frames
        self.num_predictions += other.num_predictions
        self.num_objects += other.num_objects

    def _add_increments(self, steps: dict[str, np.ndarray]) -> None:
        for segment, of_segment in steps.items():
            self.increments[segment] = self.increments.get(segment, 0) + of_segment

    def sum_counts(self) -> np.ndarray:
        """(parts, shards, NUM_COUNTS, C) int64 counts at every cut-off."""
        return self.accumulate(sum(self.increments.values(), self.counter.make_zero_increments(1)[0]))

    def accumulate(self, steps: np.ndarray) -> np.ndarray:
        """Counts (..., shards, NUM_COUNTS, C) of steps (..., rows, NUM_COUNTS, C)."""
        return self.counter.layout.gather_shards(accumulate_increments(steps), FP)

    def compute(self) -> ApTable:
        """The table of everything seen so far."""
        start = time.perf_counter()
        entries = name_values(compute_values(self.sum_counts(), self.counter), self.counter)
        meta = {
            "frames": self.num_frames,
            "predictions": self.num_predictions,
            "ground_truths": self.num_objects,
            "within": self.within,
            "seconds": self.seconds + time.perf_counter() - start,
        }
        return ApTable(entries, meta)
