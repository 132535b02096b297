"""What a config asks to count, and the counting of a problem's frames."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from pcdet_poly.config.sections.evaluation import MetricsConfig
from pcdet_poly.evaluation.breakdowns import BY_OBJECT, Layout
from pcdet_poly.evaluation.cutoffs import given_cutoffs, highest_cutoff
from pcdet_poly.evaluation.kernels.counts import NUM_COUNTS
from pcdet_poly.evaluation.kernels.frame_counts import NEAR_IOU, Rules, Tables, count_frames
from pcdet_poly.evaluation.kernels.longitudinal import Tolerance
from pcdet_poly.evaluation.kernels.overlap import BOX_3D, BOX_AA_2D, BOX_BEV
from pcdet_poly.evaluation.records import Problem

_CODES = {"3D": BOX_3D, "BEV": BOX_BEV, "AA_2D": BOX_AA_2D}
_TOLERANT = {"3D": "LET-3D", "BEV": "LET-BEV"}
_CHUNK_FRAMES = 256  # frames whose breakdowns are worked out at once; bounds memory


@dataclass(frozen=True)
class Overlap:
    """One way to compare boxes: the name of its part of the table, and the kernel's rules."""

    name: str
    box_type: int
    rules: Rules
    tolerance: Tolerance | None

    @property
    def metrics(self) -> tuple[str, ...]:
        """What is computed; APL only where matches have a longitudinal error."""
        return ("ap", "aph") if self.tolerance is None else ("ap", "aph", "apl")


class Plan:
    """The parts (box types), rows (shards) and columns (cut-offs) of the counts that `cfg` asks for."""

    def __init__(self, cfg: MetricsConfig) -> None:
        self.cfg = cfg
        self.cutoffs = given_cutoffs(cfg)
        self.layout = Layout(cfg.breakdowns)
        self.overlaps = _overlaps(cfg)

    def no_steps(self, num_segments: int) -> np.ndarray:
        """Zeros (segments, parts, rows, NUM_COUNTS, C)."""
        shape = (num_segments, len(self.overlaps), self.layout.num_rows, NUM_COUNTS, len(self.cutoffs))
        return np.zeros(shape, np.int64)

    def count(self, problem: Problem, *, threads: int = 1) -> dict[str, np.ndarray]:
        """Segment -> steps (parts, rows, NUM_COUNTS, C) of a problem's frames."""
        names, segment = np.unique(np.array(problem.segments, dtype=str), return_inverse=True)
        starts = range(0, max(problem.num_frames, 1), _CHUNK_FRAMES)

        def part(worker: int) -> np.ndarray:
            return self._count(problem, segment, len(names), starts[worker::threads])

        with ThreadPoolExecutor(threads) as pool:
            total = sum(pool.map(part, range(threads)), self.no_steps(len(names)))
        return dict(zip(names.tolist(), total, strict=True))

    def _count(self, problem: Problem, segment: np.ndarray, num_segments: int, starts: Sequence[int]) -> np.ndarray:
        steps = self.no_steps(num_segments)
        for start in starts:
            tables, score = self._chunk(problem, segment, start)
            for k, part in enumerate(self.overlaps):
                count_frames(steps[:, k], tables, part.box_type, part.rules, part.tolerance, score)
        return steps

    def _chunk(self, problem: Problem, segment: np.ndarray, start: int) -> tuple[Tables, np.ndarray | None]:
        """The kernel's input for the frames from `start` on."""
        stop = min(start + _CHUNK_FRAMES, problem.num_frames)
        bounds = np.arange(start, stop + 1)
        p_start = np.searchsorted(problem.predictions.frame, bounds)
        o_start = np.searchsorted(problem.objects.frame, bounds)
        predictions = problem.predictions[p_start[0] : p_start[-1]]
        objects = problem.objects[o_start[0] : o_start[-1]]
        tables = Tables(
            p_start - p_start[0],
            o_start - o_start[0],
            segment[start:stop],
            predictions.box,
            predictions.type,
            objects.box,
            objects.type,
            *self.layout.tasks(predictions, objects, highest_cutoff(predictions.score, self.cutoffs)),
        )
        return tables, predictions.score if self.cfg.matcher == "score_first" else None


def _overlaps(cfg: MetricsConfig) -> tuple[Overlap, ...]:
    """The box types of a config, then those of LET."""
    near = not BY_OBJECT.isdisjoint(cfg.breakdowns)

    def rules(thresholds: Sequence[float]) -> Rules:
        threshold = np.array([np.inf, *thresholds], np.float32)
        least = 0.0 if cfg.matcher == "score_first" else NEAR_IOU if near else np.inf
        return Rules(threshold, np.minimum(threshold, np.float32(least)), np.float32(cfg.min_heading_accuracy))

    strict = tuple(Overlap(name, _CODES[name], rules(cfg.iou_thresholds), None) for name in cfg.box_types)
    if cfg.let is None:
        return strict
    share, least_m = np.float32(cfg.let.tolerance), np.float32(cfg.let.min_tolerance_m)
    tolerance = Tolerance(*cfg.let.sensor_location, float(share), float(least_m))
    tolerant = (
        Overlap(_TOLERANT[name], _CODES[name], rules(cfg.let.iou_thresholds), tolerance)
        for name in cfg.box_types
        if name in _TOLERANT
    )
    return (*strict, *tolerant)
