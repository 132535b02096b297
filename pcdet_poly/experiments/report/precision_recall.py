"""Precision-recall curves of an arm, all its seeds' counts together, and the score where F1 is best."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pcdet_poly.evaluation.kernels.average_precision import PRECISION, RECALL, precision_recall_curve
from pcdet_poly.experiments.report.finished_sweep import DetectorRuns


@dataclass(frozen=True)
class PrecisionRecall:
    """Points of the curve at the score cut-offs, the highest cut-off first."""

    recall: np.ndarray  # (N,)
    precision: np.ndarray  # (N,)
    cutoff: np.ndarray  # (N,)

    def find_best_score(self) -> float:
        """Find the cut-off with the highest F1; the highest such cut-off; 1 for an empty curve."""
        both = self.precision + self.recall
        f1 = 2 * self.precision * self.recall / np.where(both > 0, both, 1)
        return float(self.cutoff[np.argmax(f1)]) if len(f1) else 1.0


def compute_precision_recall(
    detector: DetectorRuns, arm: str, class_name: str, box_type: str, level: int
) -> PrecisionRecall:
    """Compute the curve of one class over all runs of an arm.

    Where cut-offs were estimated they differ by run; then the curve is that of the first run alone.

    Args:
        detector: the runs.
        arm: one with a run.
        class_name: such as "VEHICLE".
        box_type: "3D" or "BEV".
        level: of difficulty, 1 or 2.

    Returns:
        The curve from the first recall above 0 on.
    """
    runs = list(detector.runs[arm].values())
    counter = runs[0].evaluator.counter
    alike = [run for run in runs if np.array_equal(run.evaluator.counter.cutoffs, counter.cutoffs)]
    row = (counter.cfg.box_types.index(box_type), counter.layout.shards.index(f"OBJECT_TYPE_TYPE_{class_name}"))
    counts = np.sum([run.evaluator.sum_counts()[row] for run in alike], axis=0)
    curve = precision_recall_curve(counts, level, counter.cfg.min_precision)
    kept = curve[RECALL] > 0
    return PrecisionRecall(
        curve[RECALL][kept][::-1].astype(np.float64),
        curve[PRECISION][kept][::-1].astype(np.float64),
        np.asarray(counter.cutoffs, np.float64)[kept][::-1],
    )
