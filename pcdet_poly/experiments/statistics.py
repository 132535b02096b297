"""Tests and intervals of paired differences over seeds and segments.

A study trains every arm with the same S seeds and evaluates on the same G segments. d[s], the difference of an arm
from the baseline with seed s, varies for two reasons: the seed, and the choice of segments. In the usual model

    d[s, g] = mu + a[s] + b[g] + e[s, g]        (a metric is a smooth function of such parts)

the variance of the mean over both is Va/S + Vb/G + Ve/(S G). The spread of d over seeds holds the first and the
third part, a bootstrap of whole segments the second and the third; the third, which comes twice, is known from how
much more a single seed's difference varies under the bootstrap than the mean over seeds does.

All functions take arrays whose first axis is the seeds (or the resamplings); any further axes are kept. Where there
are too few seeds or segments for an interval, its limits and p are NaN.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.optimize import brentq
from scipy.stats import chi2, norm
from scipy.stats import t as student

LEVEL = 0.05  # of the tests, two-sided; intervals cover 1 - LEVEL
# With two seeds up to 10 % of tests without any effect, and 20 % of families of three, would find a difference; with
# three at most 5 % and 8 % (tests/experiments/test_statistics.py).
MIN_SEEDS = 3


@dataclass(frozen=True)
class Estimate:
    """Means with 95 % intervals and two-sided p against 0; the four arrays have one shape."""

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p: np.ndarray

    @classmethod
    def from_mean(cls, mean: np.ndarray) -> Estimate:
        """Build an estimate without interval and test, from a mean of any shape."""
        mean = np.asarray(mean, np.float64)
        unknown = np.full(mean.shape, math.nan)
        return cls(mean, unknown, unknown, unknown)

    @classmethod
    def from_variance(cls, mean: np.ndarray, variance: np.ndarray, freedom: np.ndarray | float) -> Estimate:
        """Build Student's t interval and test of a mean.

        Args:
            mean: any shape.
            variance: the variance of that mean, of the same shape.
            freedom: the degrees of freedom of the variance, of the same shape or one number; NaN for no interval.

        Returns:
            An estimate of the same shape.
        """
        mean, variance = np.asarray(mean, np.float64), np.asarray(variance, np.float64)
        error = np.sqrt(variance)
        half_width = student.ppf(1 - LEVEL / 2, freedom) * error
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.abs(mean) / error
        p = np.where((mean == 0) & (error == 0), 1.0, 2 * student.sf(ratio, freedom))
        return cls(mean, mean - half_width, mean + half_width, p)


def estimate_over_seeds(differences: np.ndarray) -> Estimate:
    """Test paired differences (S, ...) over seeds: would other seeds, on these segments, tell the same?"""
    num = len(differences)
    variance = sample_variance(differences) / num
    return Estimate.from_variance(differences.mean(0), variance, num - 1 if num > 1 else math.nan)


def estimate_over_segments(differences: np.ndarray, resampled: np.ndarray, num_segments: int) -> Estimate:
    """Bootstrap over segments: would these trained networks tell the same on other segments?

    The interval is t times the bootstrap's standard error: percentiles are too narrow for the ten or twenty segments
    that a small study has.

    Args:
        differences: (S, ...) paired differences of S seeds on all segments.
        resampled: (R, S, ...) the same on R draws of whole segments, each draw the same for both arms and all seeds.
        num_segments: how many segments there are.

    Returns:
        An estimate of the mean over seeds, of shape (...).
    """
    variance = bootstrap_variance(resampled.mean(1), num_segments)
    return Estimate.from_variance(differences.mean(0), variance, num_segments - 1 if num_segments > 1 else math.nan)


def estimate_over_both(differences: np.ndarray, resampled: np.ndarray, num_segments: int) -> Estimate:
    """Estimate what other seeds on other segments would tell, which is what a claim about an arm needs.

    There is no interval for fewer than MIN_SEEDS seeds: the spread of two says too little about other seeds.

    Args:
        differences: (S, ...) paired differences of S seeds on all segments.
        resampled: (R, S, ...) the same on R draws of whole segments, each draw the same for both arms and all seeds.
        num_segments: how many segments there are.

    Returns:
        An estimate of the mean over seeds, of shape (...).
    """
    num = len(differences)
    if num < MIN_SEEDS or num_segments < 2:
        return Estimate.from_mean(differences.mean(0))
    seed_variance = sample_variance(differences) / num
    segment_variance = bootstrap_variance(resampled.mean(1), num_segments)
    one_seed_variance = bootstrap_variance(resampled, num_segments).mean(0)
    shared_variance = np.clip((one_seed_variance - segment_variance) / (num - 1), 0, segment_variance)  # Ve / (S G)
    segment_only_variance = segment_variance - shared_variance
    variance = seed_variance + segment_only_variance
    # Satterthwaite's degrees of freedom, where segments have the larger part; elsewhere they are too many.
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = variance**2 / (seed_variance**2 / (num - 1) + segment_only_variance**2 / (num_segments - 1))
    freedom = np.where(seed_variance >= segment_only_variance, num - 1, freedom)
    return Estimate.from_variance(differences.mean(0), variance, freedom)


def adjust_by_holm(p: np.ndarray) -> np.ndarray:
    """Adjust the p of a family of tests (K,) by Holm's method.

    Rejecting where the adjusted p is at most 0.05 is wrong in at most 5 % of families. NaN (no test was possible) stays
    NaN and does not count as a member of the family.
    """
    p = np.asarray(p, np.float64)
    adjusted = np.full(p.shape, math.nan)
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    steps = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0) if len(order) else steps
    return adjusted


def t_test_power(effect: float, num: int) -> float:
    """The chance that a paired t test of `num` pairs finds a true mean of `effect` standard deviations.

    This is a normal probability averaged over the measured standard deviation, because scipy's noncentral t gives NaN
    in its tails.
    """
    freedom, shift = num - 1, effect * math.sqrt(num)
    nodes, weights = _compute_quadrature()
    measured_sd = np.sqrt(chi2.ppf((nodes + 1) / 2, freedom) / freedom)
    limit = student.ppf(1 - LEVEL / 2, freedom) * measured_sd
    chance = norm.sf(limit - shift) + norm.cdf(-limit - shift)
    return float(chance @ weights / 2)


def detectable_difference(sd: float, num: int, power: float = 0.8) -> float:
    """The smallest true mean difference that a paired t test finds with a given power; NaN for fewer than two pairs.

    Args:
        sd: standard deviation of the paired differences.
        num: number of pairs.
        power: chance to find the difference.

    Returns:
        The difference, in the unit of `sd`.
    """
    return sd * _solve_detectable_effect(num, power) if num > 1 else math.nan


def count_required_pairs(sd: float, effect: float, power: float = 0.8) -> int:
    """Count the pairs that a paired t test needs to find a true mean difference with a given power.

    Args:
        sd: standard deviation of the paired differences.
        effect: the true mean difference, in the unit of `sd`.
        power: chance to find the difference.

    Returns:
        The smallest sufficient number of pairs, at least 2.
    """
    too_few, enough = 1, 2
    while t_test_power(effect / sd, enough) < power:
        too_few, enough = enough, 2 * enough
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        too_few, enough = (middle, enough) if t_test_power(effect / sd, middle) < power else (too_few, middle)
    return enough


@cache
def _solve_detectable_effect(num: int, power: float) -> float:
    """Find the smallest effect, in standard deviations, that `num` pairs find with the given power."""
    return float(brentq(lambda effect: t_test_power(effect, num) - power, 1e-6, 100.0))


@cache
def _compute_quadrature() -> tuple[np.ndarray, np.ndarray]:
    """Compute the nodes in (-1, 1) and the weights of a quadrature, which is slow."""
    return np.polynomial.legendre.leggauss(400)


def sample_variance(values: np.ndarray) -> np.ndarray:
    """The sample variance over the first axis; NaN for fewer than two values."""
    if len(values) < 2:
        return np.full(values.shape[1:], math.nan)
    variance: np.ndarray = values.var(0, ddof=1, dtype=np.float64)
    return variance


def bootstrap_variance(resampled: np.ndarray, num_units: np.ndarray | float) -> np.ndarray:
    """The variance over the resamplings (R, ...), corrected for the bootstrap's bias of (n - 1) / n.

    It is NaN for fewer than two units. Units of unequal weight may be counted by their effective number.
    """
    num = np.asarray(num_units, np.float64)
    factor = np.where(num > 1, num / np.maximum(num - 1, 1e-9), math.nan)
    variance: np.ndarray = sample_variance(resampled) * factor
    return variance
