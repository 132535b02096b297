"""The size curve: a metric of every arm against the logarithm of its loss's gradient size.

If arms with and without a polynomial lie on one line, then what they do is what a loss weight does. The size of an arm
is the sum of |dL/dlogit| of its loss, divided by that of the baseline's loss on the same maps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import f as fisher

from pcdet_poly.experiments.arm_tests import ArmTable, MeanAndError, estimate_contrast, pool_variance, refuse_unlike
from pcdet_poly.experiments.statistics import MIN_SEEDS, Estimate, adjust_by_holm


@dataclass(frozen=True)
class BeyondSize:
    """An arm with a polynomial, minus what the line through the arms without one predicts for its size."""

    arm: int  # column of the table
    estimate: Estimate
    p: float  # adjusted over all such arms by Holm's method


@dataclass(frozen=True)
class SizeCurve:
    """A line through all arms, and what it leaves."""

    slope: Estimate  # points per doubling of the size
    intercept: float  # points at the baseline's size
    correlation: float  # of the arms' means with the logarithm of their sizes
    residuals: tuple[float, ...]  # of every arm, points
    # p of the test that nothing is left between arms; NaN for fewer than three arms or seeds, or for unlike spreads
    lack_of_fit: float
    beyond: tuple[BeyondSize, ...]  # empty where fewer than three arms without a polynomial give a line


def fit_size_curve(table: ArmTable, log2_size: np.ndarray, is_polynomial: np.ndarray) -> SizeCurve:
    """Fit the size curve of one study.

    Args:
        table: (S, A) points.
        log2_size: (A,) binary logarithm of each arm's size; 0 for the baseline. Not all alike.
        is_polynomial: (A,) bool, which arms change the loss by a polynomial.

    Returns:
        The curve.
    """
    centred = log2_size - log2_size.mean()
    weights = centred / (centred**2).sum()
    slope = estimate_contrast(table, weights).estimate
    means = table.points.mean(0)
    fitted = means.mean() + float(slope.mean) * centred
    intercept = float(means.mean() - slope.mean * log2_size.mean())
    correlation = float(np.corrcoef(log2_size, means)[0, 1]) if np.ptp(means) else 0.0
    return SizeCurve(
        slope,
        intercept,
        correlation,
        tuple((means - fitted).tolist()),
        _test_lack_of_fit(table, means - fitted),
        _compare_with_plain_line(table, log2_size, is_polynomial),
    )


def weigh_against_line(log2_size: np.ndarray, on_line: np.ndarray, arm: int) -> np.ndarray:
    """Weigh arms for the contrast "an arm minus what the line through other arms predicts for its size".

    Args:
        log2_size: (A,) binary logarithms of the sizes.
        on_line: (A,) bool, the arms that give the line; not all of one size.
        arm: column of the arm.

    Returns:
        (A,) weights, which add up to 0.
    """
    x = log2_size[on_line]
    spread = ((x - x.mean()) ** 2).sum()
    weights = np.zeros(len(log2_size))
    weights[on_line] = -(1 / len(x) + (log2_size[arm] - x.mean()) * (x - x.mean()) / spread)
    weights[arm] += 1
    return weights


def _compare_with_plain_line(
    table: ArmTable, log2_size: np.ndarray, is_polynomial: np.ndarray
) -> tuple[BeyondSize, ...]:
    plain, arms = ~is_polynomial, np.flatnonzero(is_polynomial)
    if plain.sum() < 3 or np.ptp(log2_size[plain]) == 0 or not len(arms):
        return ()
    found: list[MeanAndError] = [
        estimate_contrast(table, weigh_against_line(log2_size, plain, int(arm))) for arm in arms
    ]
    adjusted = adjust_by_holm(np.array([float(one.estimate.p) for one in found]))
    return tuple(
        BeyondSize(int(arm), one.estimate, float(p)) for arm, one, p in zip(arms, found, adjusted, strict=True)
    )


def _test_lack_of_fit(table: ArmTable, residuals: np.ndarray) -> float:
    left = len(residuals) - 2
    if table.num_seeds < MIN_SEEDS or left < 1:
        return float("nan")
    variance, freedom = pool_variance(table)
    return float(refuse_unlike(table.points, fisher.sf((residuals**2).sum() / left / variance, left, freedom)))
