"""Waymo's detection metrics: `evaluate` for a list of frames, `Evaluator` for frames as they come."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from pcdet_poly.config.sections.evaluation import MetricsConfig
from pcdet_poly.errors import UserError
from pcdet_poly.evaluation.ap_table import ApTable, compute_values, name_values
from pcdet_poly.evaluation.box_tables import EvaluationSet, Objects
from pcdet_poly.evaluation.cutoffs import estimate_cutoffs
from pcdet_poly.evaluation.evaluation_meta import EvaluationMeta
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
    """Compute AP and APH of all frames. Objects without a LiDAR point do not count.

    Args:
        detections: of each frame, boxes in the vehicle frame.
        ground_truth: labels of each frame, in the same order.
        cfg: what is computed; Waymo's defaults if None.
        class_names: names of the classes that the labels of both sides point into.
        no_label_zone: per frame, (N,) bool, which detections lie in a no-label zone; where these match nothing,
            they are no false positives.
        within: x0, y0, x1, y1 in metres; boxes of both sides with a centre outside are left out.
        threads: number of threads that count matches.

    Returns:
        The table of all parts, breakdowns and levels that `cfg` names.

    Raises:
        UserError: the lists differ in length, or a box, label or class is one that the metrics cannot take.
    """
    cfg = cfg or MetricsConfig()
    boxes = build_evaluation_set(
        detections, ground_truth, class_names=class_names, no_label_zone=no_label_zone, type_names=cfg.type_names
    )
    return evaluate_set(boxes, cfg, within=within, threads=threads)


def evaluate_set(
    boxes: EvaluationSet, cfg: MetricsConfig | None = None, *, within: Limits | None = None, threads: int = 1
) -> ApTable:
    """Compute AP and APH of a set of frames.

    Args:
        boxes: predictions and objects of the frames.
        cfg: what is computed; Waymo's defaults if None.
        within: x0, y0, x1, y1 in metres; boxes of both sides with a centre outside are left out.
        threads: number of threads that count matches.

    Returns:
        The table of all parts, breakdowns and levels that `cfg` names.
    """
    return run_evaluator(boxes, cfg, within=within, threads=threads).compute()


def run_evaluator(
    boxes: EvaluationSet,
    cfg: MetricsConfig | None = None,
    *,
    class_names: Sequence[str] = (),
    within: Limits | None = None,
    threads: int = 1,
) -> Evaluator:
    """Create an evaluator and add a set of frames to it.

    Args:
        boxes: predictions and objects of the frames.
        cfg: what is computed; Waymo's defaults if None. Cut-offs that it leaves open are estimated from the scores.
        class_names: names of the detector's classes, for frames that are added later.
        within: x0, y0, x1, y1 in metres; boxes of both sides with a centre outside are left out.
        threads: number of threads that count matches.

    Returns:
        The evaluator with the counts of all frames.
    """
    cutoffs = resolve_cutoffs(cfg or MetricsConfig(), boxes, within=within)
    evaluator = Evaluator(cutoffs, class_names=class_names, within=within)
    evaluator.add(boxes, threads=threads)
    return evaluator


def resolve_cutoffs(cfg: MetricsConfig, *sets: EvaluationSet, within: Limits | None = None) -> MetricsConfig:
    """Replace a number of score cut-offs in `cfg` by a list of them, estimated from scores.

    Args:
        cfg: settings, whose `score_cutoffs` may be a number.
        *sets: the scores of all their predictions are looked at together.
        within: x0, y0, x1, y1 in metres; predictions with a centre outside are not looked at.

    Returns:
        `cfg` with the cut-offs listed; `cfg` itself where it does not leave them open.
    """
    if not isinstance(cfg.score_cutoffs, int):
        return cfg
    scores = np.concatenate([crop_to_limits(boxes, within).predictions.score for boxes in sets])
    return cfg.model_copy(update={"score_cutoffs": tuple(estimate_cutoffs(scores, cfg.score_cutoffs).tolist())})


class Evaluator:
    """Counts of all frames added so far: memory grows with the number of segments, never with that of frames.

    The order of frames, and how they were spread over evaluators that are merged, changes no bit of the result.
    """

    def __init__(
        self, cfg: MetricsConfig | None = None, *, class_names: Sequence[str] = (), within: Limits | None = None
    ) -> None:
        """Create an evaluator without frames.

        Args:
            cfg: what is computed, with its cut-offs listed; Waymo's defaults if None.
            class_names: names of the classes that the labels given to `update` point into.
            within: x0, y0, x1, y1 in metres; boxes of both sides with a centre outside are left out.
        """
        self.counter = MatchCounter(cfg or MetricsConfig())
        self.class_names = tuple(class_names)
        self.within = within
        self.num_frames = self.num_predictions = self.num_objects = 0
        self.objects_of_shard = self.counter.layout.count_objects(Objects.empty())  # (shards, 2) at LEVEL_1 and LEVEL_2
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
        """Add frames.

        Args:
            detections: of each frame, boxes in the vehicle frame.
            ground_truth: labels of each frame, in the same order.
            no_label_zone: per frame, (N,) bool, which detections lie in a no-label zone; by default none does.
            segments: name of each frame's segment, for the bootstrap; by default all are of one without a name.

        Raises:
            UserError: the lists differ in length, or a box, label or class is one that the metrics cannot take.
        """
        self.add(
            build_evaluation_set(
                detections,
                ground_truth,
                class_names=self.class_names,
                no_label_zone=no_label_zone,
                segments=segments,
                type_names=self.counter.cfg.type_names,
            )
        )

    def add(self, boxes: EvaluationSet, *, threads: int = 1) -> None:
        """Add the frames of a set, counted by so many threads."""
        start = time.perf_counter()
        boxes = crop_to_limits(boxes, self.within)
        self._add_increments(self.counter.count(boxes, threads=threads))
        self.seconds += time.perf_counter() - start
        self.num_frames += boxes.num_frames
        self.num_predictions += len(boxes.predictions)
        self.num_objects += len(boxes.objects)
        self.objects_of_shard += self.counter.layout.count_objects(boxes.objects)

    def merge(self, other: Evaluator) -> None:
        """Add all frames of `other`. Raises UserError where its settings are others."""
        if (self.counter.cfg, self.within) != (other.counter.cfg, other.within):
            raise UserError("merge: the two evaluators have different settings; build both from one config")
        self._add_increments(other.increments)
        self.seconds += other.seconds
        self.num_frames += other.num_frames
        self.num_predictions += other.num_predictions
        self.num_objects += other.num_objects
        self.objects_of_shard += other.objects_of_shard

    def _add_increments(self, increments: dict[str, np.ndarray]) -> None:
        for segment, of_segment in increments.items():
            self.increments[segment] = self.increments.get(segment, 0) + of_segment

    def _name_object_counts(self) -> dict[str, int]:
        """Put the numbers of objects under the names of the table's rows."""
        layout, levels = self.counter.layout, self.counter.cfg.levels
        rows = zip(layout.shards, self.objects_of_shard.tolist(), strict=True)
        return {f"{shard}_LEVEL_{level}": counts[level - 1] for shard, counts in rows for level in levels}

    def sum_counts(self) -> np.ndarray:
        """Return the counts of all segments together at every cut-off, (parts, shards, NUM_COUNTS, C) int64."""
        return self.accumulate(sum(self.increments.values(), self.counter.make_zero_increments(1)[0]))

    def accumulate(self, increments: np.ndarray) -> np.ndarray:
        """Return the counts (..., shards, NUM_COUNTS, C) of increments (..., rows, NUM_COUNTS, C)."""
        return self.counter.layout.gather_shards(accumulate_increments(increments), FP)

    def compute(self) -> ApTable:
        """Return the table of all frames added so far."""
        start = time.perf_counter()
        entries = name_values(compute_values(self.sum_counts(), self.counter), self.counter)
        meta = EvaluationMeta(
            frames=self.num_frames,
            predictions=self.num_predictions,
            ground_truths=self.num_objects,
            within=self.within,
            seconds=self.seconds + time.perf_counter() - start,
            classes=self.class_names,
            objects=self._name_object_counts(),
        )
        return ApTable(entries, meta)
