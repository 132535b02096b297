"""Waymo's detection metrics: `evaluate` for a list of frames, `Evaluator` for frames as they come."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from pcdet_poly.config.schema import MetricsConfig
from pcdet_poly.errors import UserError
from pcdet_poly.evaluation.average_precision import counts_at_cutoffs
from pcdet_poly.evaluation.breakdowns import Layout
from pcdet_poly.evaluation.counting import FP, NUM_COUNTS
from pcdet_poly.evaluation.cutoffs import estimated_cutoffs, given_cutoffs, highest_cutoff
from pcdet_poly.evaluation.frame_counts import Groups, Tables, count_frames
from pcdet_poly.evaluation.overlap import BOX_3D, BOX_AA_2D, BOX_BEV
from pcdet_poly.evaluation.problems import Limits, inside, problem_of_frames
from pcdet_poly.evaluation.records import Problem
from pcdet_poly.evaluation.table import ApTable
from pcdet_poly.structures import Detections, GroundTruth

_BOX_CODES = {"3D": BOX_3D, "BEV": BOX_BEV, "AA_2D": BOX_AA_2D}
_CHUNK_FRAMES = 256  # frames whose breakdowns are worked out at once; bounds memory


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
    problem = problem_of_frames(detections, ground_truth, class_names=class_names, no_label_zone=no_label_zone)
    return evaluate_problem(problem, cfg, within=within, threads=threads)


def evaluate_problem(
    problem: Problem, cfg: MetricsConfig | None = None, *, within: Limits | None = None, threads: int = 1
) -> ApTable:
    """As `evaluate`, from flat tables; score cut-offs may be estimated here."""
    start = time.perf_counter()
    cfg = cfg or MetricsConfig()
    if isinstance(cfg.score_cutoffs, int):
        scores = inside(problem, within).predictions.score
        cfg = cfg.model_copy(update={"score_cutoffs": tuple(estimated_cutoffs(scores, cfg.score_cutoffs).tolist())})
    evaluator = Evaluator(cfg, within=within)
    evaluator.add(problem, threads=threads)
    return evaluator.result(seconds=time.perf_counter() - start)


class Evaluator:
    """Counts of all frames seen so far; their number never changes its size, segments do.

    The order of frames, and how they were spread over evaluators that are merged, changes no bit of the result.
    """

    def __init__(
        self, cfg: MetricsConfig | None = None, *, class_names: Sequence[str] = (), within: Limits | None = None
    ) -> None:
        self.cfg = cfg or MetricsConfig()
        self.class_names = tuple(class_names)
        self.within = within
        self.cutoffs = given_cutoffs(self.cfg)
        self.layout = Layout(self.cfg.breakdowns)
        self.num_frames = self.num_predictions = self.num_objects = 0
        self.steps: dict[str, np.ndarray] = {}  # segment -> (box types, rows, NUM_COUNTS, C) int64

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
            problem_of_frames(
                detections,
                ground_truth,
                class_names=self.class_names,
                no_label_zone=no_label_zone,
                segments=segments,
            )
        )

    def add(self, problem: Problem, *, threads: int = 1) -> None:
        """Add the frames of a problem."""
        problem = inside(problem, self.within)
        self.num_frames += problem.num_frames
        self.num_predictions += len(problem.predictions)
        self.num_objects += len(problem.objects)
        names = sorted(set(problem.segments))
        segment = np.searchsorted(names, problem.segments) if names else np.zeros(0, np.int64)
        starts = range(0, problem.num_frames, _CHUNK_FRAMES)
        with ThreadPoolExecutor(threads) as pool:
            parts = pool.map(
                lambda worker: self._count(problem, segment, len(names), starts[worker::threads]), range(threads)
            )
            for part in parts:
                for name, steps in zip(names, part, strict=True):
                    self.steps[name] = self.steps.get(name, 0) + steps

    def merge(self, other: Evaluator) -> None:
        """Add everything that `other` has seen."""
        if (self.cfg, self.within) != (other.cfg, other.within):
            raise UserError("merge: the two evaluators have different settings; build both from one config")
        self.num_frames += other.num_frames
        self.num_predictions += other.num_predictions
        self.num_objects += other.num_objects
        for name, steps in other.steps.items():
            self.steps[name] = self.steps.get(name, 0) + steps

    def counts(self) -> np.ndarray:
        """(box types, shards, NUM_COUNTS, C) int64 counts at every cut-off."""
        steps = sum(self.steps.values(), self._no_steps(1)[0])
        return self.layout.of_shards(counts_at_cutoffs(steps), FP)

    def result(self, *, seconds: float | None = None) -> ApTable:
        """The table of everything seen so far."""
        counts = self.counts()
        meta = {
            "frames": self.num_frames,
            "predictions": self.num_predictions,
            "ground_truths": self.num_objects,
            "within": self.within,
            "iou_thresholds": list(self.cfg.iou_thresholds),
        }
        return ApTable.of_counts(counts, self.cfg, self.layout.shards, meta | {"seconds": seconds})

    def _no_steps(self, num_segments: int) -> np.ndarray:
        num_rows, num_cutoffs = self.layout.num_rows, len(self.cutoffs)
        return np.zeros((num_segments, len(self.cfg.box_types), num_rows, NUM_COUNTS, num_cutoffs), np.int64)

    def _count(self, problem: Problem, segment: np.ndarray, num_segments: int, starts: Sequence[int]) -> np.ndarray:
        steps = self._no_steps(num_segments)
        thresholds = np.array([np.inf, *self.cfg.iou_thresholds], np.float32)
        codes = np.array([_BOX_CODES[name] for name in self.cfg.box_types])
        for start in starts:
            tables, groups = self._chunk(problem, segment, start)
            count_frames(steps, tables, groups, codes, thresholds, self.cfg.min_heading_accuracy)
        return steps

    def _chunk(self, problem: Problem, segment: np.ndarray, start: int) -> tuple[Tables, Groups]:
        """The kernel's input for the frames from `start` on."""
        stop = min(start + _CHUNK_FRAMES, problem.num_frames)
        edges = np.arange(start, stop + 1)
        p_start = np.searchsorted(problem.predictions.frame, edges)
        o_start = np.searchsorted(problem.objects.frame, edges)
        predictions = problem.predictions[p_start[0] : p_start[-1]]
        objects = problem.objects[o_start[0] : o_start[-1]]
        tables = Tables(
            p_start - p_start[0],
            o_start - o_start[0],
            segment[start:stop],
            predictions.box,
            predictions.type,
            highest_cutoff(predictions.score, self.cutoffs),
            predictions.in_no_label_zone,
            objects.box,
            objects.type,
            objects.level.astype(np.int64),
        )
        return tables, self.layout.groups(predictions, objects)
