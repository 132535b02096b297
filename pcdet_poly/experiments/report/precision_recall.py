"""Precision-recall curves of an arm, all its seeds' counts together, and the score where F1 is best."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pcdet_poly.evaluation.kernels.average_precision import PRECISION, RECALL, curve
from pcdet_poly.experiments.report.finished_sweep import Model


@dataclass(frozen=True)
class PrCurve:
    """Points at the score cut-offs, the highest cut-off first."""

    recall: np.ndarray  # (N,)
    precision: np.ndarray  # (N,)
    cutoff: np.ndarray  # (N,)

    def best_score(self) -> float:
        """The cut-off with the highest F1 (the highest such)."""
        both = self.precision + self.recall
        f1 = 2 * self.precision * self.recall / np.where(both > 0, both, 1)
        return float(self.cutoff[np.argmax(f1)]) if len(f1) else 1.0


def pr_curve(model: Model, arm: str, kind: str, part: str, level: int) -> PrCurve:
    """The curve of class `kind`. Where cut-offs were estimated they differ by run; then of the first run alone."""
    runs = list(model.runs[arm].values())
    plan = runs[0].evaluator.plan
    alike = [trained for trained in runs if np.array_equal(trained.evaluator.plan.cutoffs, plan.cutoffs)]
    place = (plan.cfg.box_types.index(part), plan.layout.shards.index(f"OBJECT_TYPE_TYPE_{kind}"))
    counts = np.sum([trained.evaluator.counts()[place] for trained in alike], axis=0)
    points = curve(counts, level, plan.cfg.min_precision)
    seen = points[RECALL] > 0
    return PrCurve(
        points[RECALL][seen][::-1].astype(np.float64),
        points[PRECISION][seen][::-1].astype(np.float64),
        np.asarray(plan.cutoffs, np.float64)[seen][::-1],
    )
