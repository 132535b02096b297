"""Scores against how often they are right: the reliability curve and the expected calibration error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NUM_SCORE_BINS = 10  # of equal width, over [0, 1]


@dataclass(frozen=True)
class CalibrationCurve:
    """A reliability curve: one entry per score bin that holds at least one answer, ascending by score."""

    mean_score: np.ndarray  # (N,) float64
    share_right: np.ndarray  # (N,) float64
    count: np.ndarray  # (N,) int64, answers in the bin

    @property
    def error(self) -> float:
        """The expected calibration error: the mean over answers of |mean score - share right| of their bin."""
        gap = np.abs(self.mean_score - self.share_right)
        return float(np.sum(gap * self.count) / max(self.count.sum(), 1))


def compute_calibration(score: np.ndarray, right: np.ndarray) -> CalibrationCurve:
    """Sort answers with scores (N,) in [0, 1], right (N,) bool or not, into bins of their score."""
    bins = np.minimum((score * NUM_SCORE_BINS).astype(int), NUM_SCORE_BINS - 1)
    count = np.bincount(bins, minlength=NUM_SCORE_BINS)
    filled = count > 0
    mean_score = np.bincount(bins, score, minlength=NUM_SCORE_BINS)[filled] / count[filled]
    share_right = np.bincount(bins, right, minlength=NUM_SCORE_BINS)[filled] / count[filled]
    return CalibrationCurve(mean_score, share_right, count[filled])
