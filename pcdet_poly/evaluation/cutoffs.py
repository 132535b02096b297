"""Score cut-offs at which precision and recall are taken."""

from __future__ import annotations

import numpy as np

from pcdet_poly.config.sections.evaluation import MetricsConfig
from pcdet_poly.errors import UserError


def list_cutoffs(cfg: MetricsConfig) -> np.ndarray:
    """Return the cut-offs of `cfg`, (C,) float32 ascending. Raises UserError where it leaves them to be estimated."""
    if isinstance(cfg.score_cutoffs, int):
        raise UserError(
            f"score_cutoffs: {cfg.score_cutoffs} cut-offs would have to be estimated from all scores at once; "
            "use evaluate() with all frames, or list the cut-offs"
        )
    if cfg.score_cutoffs is None:
        return np.array([*(0.01 * i for i in range(100)), 1.0], np.float32)
    return np.sort(np.array(cfg.score_cutoffs, np.float32))


def estimate_cutoffs(scores: np.ndarray, num: int) -> np.ndarray:
    """Choose `num` cut-offs for the scores (N,) of all classes as Waymo does, (C,) float32 ascending.

    They are the smallest score, the starts of near-equal buckets of sorted scores, and 1; uniform steps where there
    are no more scores than cut-offs; just 0 for one cut-off.
    """
    if num == 1:
        return np.zeros(1, np.float32)
    if num >= len(scores):
        return _list_uniform_cutoffs(np.float32(1.0 / (num - 1)))
    in_order = np.sort(scores.astype(np.float32))
    starts, remaining = [0], len(scores)
    for left in range(num - 1, 1, -1):
        starts.append(starts[-1] + remaining // left)
        remaining -= remaining // left
    buckets = np.clip(in_order[starts[1:]], 0, 1)
    return np.sort(np.concatenate([in_order[:1], buckets, np.ones(1, np.float32)]))


def _list_uniform_cutoffs(step: np.float32) -> np.ndarray:
    """Return 0, `step`, ... 1 as Waymo adds them up, in float32."""
    values, here, end = [], np.float32(0), np.float32(1)
    while here < end:
        values.append(here)
        here = np.float32(here + step)
    if end - values[-1] > float(step) * 0.5:
        values.append(end)
    return np.array(values, np.float32)


def find_highest_cutoff(scores: np.ndarray, cutoffs: np.ndarray) -> np.ndarray:
    """Return the position (N,) int64 of the highest cut-off that each score reaches; -1 for none and for NaN."""
    position = np.searchsorted(cutoffs, scores.astype(np.float32), side="right") - 1
    return np.where(np.isnan(scores), -1, position)
