"""A set of frames -> counts of matches, misses and false alarms, as a config asks for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pcdet_poly.config.sections.evaluation import MetricsConfig
from pcdet_poly.evaluation.box_tables import EvaluationSet
from pcdet_poly.evaluation.breakdowns import BREAKDOWNS_BY_OBJECT
from pcdet_poly.evaluation.cutoffs import find_highest_cutoff, list_cutoffs
from pcdet_poly.evaluation.kernels.frame_counts import NEAR_IOU, FrameTables, MatchRules, count_frames
from pcdet_poly.evaluation.kernels.frame_matches import match_frame
from pcdet_poly.evaluation.kernels.longitudinal import LongitudinalTolerance
from pcdet_poly.evaluation.kernels.outcome_counts import NUM_COUNTS
from pcdet_poly.evaluation.kernels.overlap import BOX_3D, BOX_AA_2D, BOX_BEV
from pcdet_poly.evaluation.shard_layout import ShardLayout
from pcdet_poly.workers import map_in_threads

_CODES = {"3D": BOX_3D, "BEV": BOX_BEV, "AA_2D": BOX_AA_2D}
_TOLERANT = {"3D": "LET-3D", "BEV": "LET-BEV"}
_CHUNK_FRAMES = 256  # frames whose boxes are grouped at once; bounds memory


@dataclass(frozen=True)
class BoxComparison:
    """One way to compare boxes: the name of its part of the table, and the kernel's rules."""

    name: str
    box_type: int  # one of the kernel's codes
    rules: MatchRules
    tolerance: LongitudinalTolerance | None

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of what is computed; APL only where matches have a longitudinal error."""
        return ("ap", "aph") if self.tolerance is None else ("ap", "aph", "apl")


class MatchCounter:
    """Counts by part (box comparison), row (shard) and column (cut-off), as `cfg` asks for them."""

    def __init__(self, cfg: MetricsConfig) -> None:
        """Prepare counting. Raises UserError where `cfg` leaves its cut-offs to be estimated."""
        self.cfg = cfg
        self.cutoffs = list_cutoffs(cfg)
        self.layout = ShardLayout(cfg.breakdowns, cfg.type_names)
        self.comparisons = _list_comparisons(cfg)

    def make_zero_increments(self, num_segments: int) -> np.ndarray:
        """Return zeros, (segments, parts, rows, NUM_COUNTS, C) int64."""
        shape = (num_segments, len(self.comparisons), self.layout.num_rows, NUM_COUNTS, len(self.cutoffs))
        return np.zeros(shape, np.int64)

    def count(self, boxes: EvaluationSet, *, threads: int = 1) -> dict[str, np.ndarray]:
        """Count a set's frames: segment -> increments (parts, rows, NUM_COUNTS, C) int64."""
        names, segment = np.unique(np.array(boxes.segments, dtype=str), return_inverse=True)
        starts = range(0, max(boxes.num_frames, 1), _CHUNK_FRAMES)

        def count_share(worker: int) -> np.ndarray:
            return self._count_chunks(boxes, segment, len(names), starts[worker::threads])

        shares = map_in_threads(count_share, range(threads), threads=threads)
        total = sum(shares, self.make_zero_increments(len(names)))
        return dict(zip(names.tolist(), total, strict=True))

    def match_first_frame(self, boxes: EvaluationSet) -> np.ndarray:
        """Match the first frame's boxes as the first breakdown and the first comparison without LET do.

        Returns:
            (C, P) int64: at each cut-off the object of each prediction, UNMATCHED, NOT_COUNTED below the cut-off, or
            LEFT_OUT less the object where the match is left out for its heading.
        """
        tables, score = self._tabulate_chunk(boxes, np.zeros(1, np.int64), 0)
        part = self.comparisons[0]
        return match_frame(tables, part.box_type, part.rules, score, len(self.cutoffs))

    def _count_chunks(
        self, boxes: EvaluationSet, segment: np.ndarray, num_segments: int, starts: Sequence[int]
    ) -> np.ndarray:
        """Count the chunks that begin at the frames `starts`; `segment` (F,) is each frame's number among them."""
        increments = self.make_zero_increments(num_segments)
        for start in starts:
            tables, score = self._tabulate_chunk(boxes, segment, start)
            for k, part in enumerate(self.comparisons):
                count_frames(increments[:, k], tables, part.box_type, part.rules, part.tolerance, score)
        return increments

    def _tabulate_chunk(
        self, boxes: EvaluationSet, segment: np.ndarray, start: int
    ) -> tuple[FrameTables, np.ndarray | None]:
        """Return the kernel's tables for the frames from `start` on, and the scores where its matcher needs them."""
        stop = min(start + _CHUNK_FRAMES, boxes.num_frames)
        bounds = np.arange(start, stop + 1)
        p_start = np.searchsorted(boxes.predictions.frame, bounds)
        o_start = np.searchsorted(boxes.objects.frame, bounds)
        predictions = boxes.predictions[p_start[0] : p_start[-1]]
        objects = boxes.objects[o_start[0] : o_start[-1]]
        grouped = self.layout.group_boxes(predictions, objects, find_highest_cutoff(predictions.score, self.cutoffs))
        tables = FrameTables(
            p_start - p_start[0],
            o_start - o_start[0],
            segment[start:stop],
            predictions.box,
            predictions.type,
            objects.box,
            objects.type,
            grouped.predictions,
            grouped.objects,
            grouped.by_object,
        )
        return tables, predictions.score if self.cfg.matcher == "score_first" else None


def _list_comparisons(cfg: MetricsConfig) -> tuple[BoxComparison, ...]:
    """Return the box types of a config, then those of LET."""
    has_near_rows = not BREAKDOWNS_BY_OBJECT.isdisjoint(cfg.breakdowns)

    def build_rules(thresholds: Sequence[float]) -> MatchRules:
        threshold = np.array([np.inf, *thresholds], np.float32)
        least = 0.0 if cfg.matcher == "score_first" else NEAR_IOU if has_near_rows else np.inf
        return MatchRules(threshold, np.minimum(threshold, np.float32(least)), np.float32(cfg.min_heading_accuracy))

    strict = tuple(BoxComparison(name, _CODES[name], build_rules(cfg.type_thresholds), None) for name in cfg.box_types)
    if cfg.let is None:
        return strict
    let_thresholds = tuple(cfg.let.type_thresholds(cfg.type_names).values())
    share, least_m = np.float32(cfg.let.tolerance), np.float32(cfg.let.min_tolerance_m)
    tolerance = LongitudinalTolerance(*cfg.let.sensor_location, float(share), float(least_m))
    tolerant = (
        BoxComparison(_TOLERANT[name], _CODES[name], build_rules(let_thresholds), tolerance)
        for name in cfg.box_types
        if name in _TOLERANT
    )
    return (*strict, *tolerant)
