"""What paired differences over seeds and segments allow to say.

A study trains every arm with the same S seeds and evaluates on the same G segments. d[s], the difference of an arm
from the baseline with seed s, varies for two reasons: the seed, and the choice of segments. In the usual model

    d[s, g] = mu + a[s] + b[g] + e[s, g]        (a metric is a smooth function of such parts)

the variance of the mean over both is Va/S + Vb/G + Ve/(S G). The spread of d over seeds holds the first and the
third part, a bootstrap of whole segments the second and the third; the third, which comes twice, is known from how
much more a single seed's difference varies under the bootstrap than the mean over seeds does.

All functions work on arrays: seeds (or resamplings) in front, any further axes behind. Where there are too few
seeds or segments for an interval, limits and p are NaN.
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


@dataclass(frozen=True)
class Estimate:
    """Means with 95 % intervals and two-sided p against 0; arrays of one shape."""

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p: np.ndarray

    @classmethod
    def of(cls, mean: np.ndarray, variance: np.ndarray, freedom: np.ndarray | float) -> Estimate:
        """From a mean, the variance of that mean, and the degrees of freedom of the variance (Student's t)."""
        mean, variance = np.asarray(mean, np.float64), np.asarray(variance, np.float64)
        error = np.sqrt(variance)
        half_width = student.ppf(1 - LEVEL / 2, freedom) * error
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.abs(mean) / error
        p = np.where((mean == 0) & (error == 0), 1.0, 2 * student.sf(ratio, freedom))
        return cls(mean, mean - half_width, mean + half_width, p)


def over_seeds(differences: np.ndarray) -> Estimate:
    """Paired t over seeds (S, ...): would other seeds, on these segments, tell the same?"""
    num = len(differences)
    return Estimate.of(differences.mean(0), _variance(differences) / num, num - 1 if num > 1 else math.nan)


def over_segments(differences: np.ndarray, resampled: np.ndarray, num_segments: int) -> Estimate:
    """Bootstrap over segments: would these trained networks tell the same on other segments?

    `differences` (S, ...) on all segments; `resampled` (R, S, ...) on R draws of whole segments, one draw for both
    arms and all seeds. The interval is t times the bootstrap's standard error: percentiles are too narrow for the
    ten or twenty segments that a small study has.
    """
    variance = _bootstrap_variance(resampled.mean(1), num_segments)
    return Estimate.of(differences.mean(0), variance, num_segments - 1 if num_segments > 1 else math.nan)


def over_both(differences: np.ndarray, resampled: np.ndarray, num_segments: int) -> Estimate:
    """Other seeds and other segments: what a claim about an arm needs. Arguments as in `over_segments`."""
    num = len(differences)
    if num < 2 or num_segments < 2:
        nothing = np.full(differences.shape[1:], math.nan)
        return Estimate(differences.mean(0), nothing, nothing, nothing)
    of_seeds = _variance(differences) / num
    of_segments = _bootstrap_variance(resampled.mean(1), num_segments)
    of_one_seed = _bootstrap_variance(resampled, num_segments).mean(0)
    in_both = np.clip((of_one_seed - of_segments) / (num - 1), 0, of_segments)  # Ve / (S G)
    of_segments_alone = of_segments - in_both
    variance = of_seeds + of_segments_alone
    # Satterthwaite's degrees of freedom, where segments have the larger part; they err on the bold side elsewhere.
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = variance**2 / (of_seeds**2 / (num - 1) + of_segments_alone**2 / (num_segments - 1))
    return Estimate.of(differences.mean(0), variance, np.where(of_seeds >= of_segments_alone, num - 1, freedom))


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's adjusted p of a family (K,): rejecting where it is at most 0.05 errs in at most 5 % of families.

    NaN (no test was possible) stays NaN and does not count as a member of the family.
    """
    p = np.asarray(p, np.float64)
    adjusted = np.full(p.shape, math.nan)
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    steps = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0) if len(order) else steps
    return adjusted


def power(effect: float, num: int) -> float:
    """Chance that a paired t test of `num` pairs finds a true mean of `effect` standard deviations.

    A normal probability averaged over the measured standard deviation: scipy's noncentral t gives NaN in its tails.
    """
    freedom, shift = num - 1, effect * math.sqrt(num)
    nodes, weights = _nodes()
    measured_sd = np.sqrt(chi2.ppf((nodes + 1) / 2, freedom) / freedom)
    limit = student.ppf(1 - LEVEL / 2, freedom) * measured_sd
    found = norm.sf(limit - shift) + norm.cdf(-limit - shift)
    return float(found @ weights / 2)


def detectable(sd: float, num: int, wanted: float = 0.8) -> float:
    """Smallest true mean difference that `num` pairs with standard deviation `sd` find with power `wanted`."""
    return sd * _detectable_sds(num, wanted) if num > 1 else math.nan


def pairs_needed(sd: float, effect: float, wanted: float = 0.8) -> int:
    """Fewest seeds, at least 2, with which a true mean difference `effect` is found with power `wanted`."""
    too_few, enough = 1, 2
    while power(effect / sd, enough) < wanted:
        too_few, enough = enough, 2 * enough
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        too_few, enough = (middle, enough) if power(effect / sd, middle) < wanted else (too_few, middle)
    return enough


@cache
def _detectable_sds(num: int, wanted: float) -> float:
    return float(brentq(lambda effect: power(effect, num) - wanted, 1e-6, 100.0))


@cache
def _nodes() -> tuple[np.ndarray, np.ndarray]:
    """Places in (-1, 1) and weights of a quadrature; slow to compute."""
    return np.polynomial.legendre.leggauss(400)


def _variance(values: np.ndarray) -> np.ndarray:
    """Sample variance over the first axis; NaN for fewer than two."""
    if len(values) < 2:
        return np.full(values.shape[1:], math.nan)
    variance: np.ndarray = values.var(0, ddof=1, dtype=np.float64)
    return variance


def _bootstrap_variance(resampled: np.ndarray, num_units: int) -> np.ndarray:
    """Variance over the resamplings, without the bootstrap's bias of (n - 1) / n."""
    if num_units < 2:
        return np.full(resampled.shape[1:], math.nan)
    return _variance(resampled) * num_units / (num_units - 1)
