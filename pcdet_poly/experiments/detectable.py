"""The smallest true effects that the report's rules find with 80 % power: of the rules themselves, by simulation.

Where arms spread unequally a rule takes an arm's own error, and what it finds follows from that error.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from scipy.optimize import brentq
from scipy.stats import norm
from scipy.stats import t as student

from pcdet_poly.experiments.arm_tests import (
    OWN_ERROR_FROM,
    ArmTable,
    MeanAndError,
    estimate_contrast,
    estimate_planned_contrast,
    find_unlike_spreads,
    pool_variance,
)
from pcdet_poly.experiments.many_arms import ManyDifferences, compute_scales, find_dunnett_limit
from pcdet_poly.experiments.statistics import LEVEL, MIN_SEEDS

POWER = 0.8
_STUDIES = 10_000  # the quantile of the needed effect is then known to 1 %


def find_detectable_effect(limit: float, freedom: float, power: float = POWER) -> float:
    """Find the effect, in standard errors, that a t test with this limit finds with a given power.

    Args:
        limit: a difference is found where it is more than `limit` times its error.
        freedom: degrees of freedom of the error.
        power: chance to find it.

    Returns:
        The effect in units of the true standard error.
    """
    return float(brentq(lambda effect: _compute_power(effect, limit, freedom) - power, 0.0, 10 * limit + 10))


def find_t_limit(freedom: float) -> float:
    """Find the ratio from which on a two-sided t test's p is at most LEVEL."""
    return float(student.ppf(1 - LEVEL / 2, freedom))


def find_detectable_for(one: MeanAndError, limit: float) -> float:
    """Find the true effect that a t test with an error as large as a measured one finds with POWER.

    Args:
        one: the measured mean, whose variance and degrees of freedom count.
        limit: a difference is found where it is more than `limit` times its error.

    Returns:
        The effect, in the unit of the mean.
    """
    return find_detectable_effect(limit, float(one.freedom)) * math.sqrt(float(one.variance))


def find_detectable_arms(table: ArmTable, many: ManyDifferences) -> tuple[float, ...]:
    """Find the true difference of each arm from the baseline that `compare_with_baseline` finds with POWER.

    Args:
        table: one study.
        many: what `compare_with_baseline` made of it.

    Returns:
        One number for each of `many.arms`, in the metric's unit: the same for all, unless arms spread unequally; NaN
        for fewer than MIN_SEEDS seeds.
    """
    if table.num_seeds < MIN_SEEDS:
        return tuple(math.nan for _ in many.arms)
    if many.method == "Holm":
        return tuple(find_detectable_for(one, limit) for one, limit in zip(many.each, many.limits, strict=True))
    variance, _ = pool_variance(table)
    deviation = math.sqrt(float(variance) * table.num_seeds)
    return tuple(find_detectable_difference(table.num_seeds, table.num_arms) * deviation for _ in many.arms)


def find_detectable_planned(table: ArmTable, weights: np.ndarray, num_tests: int) -> float:
    """Find the true effect that the test of a planned contrast finds with POWER, in the metric's unit.

    Args:
        table: one study.
        weights: of the contrast, (A,).
        num_tests: planned contrasts, over which p is adjusted.

    Returns:
        The effect: of the contrast's own error where that is the test's, and at least of the error that all arms have
        in common where the test may take either; NaN for fewer than MIN_SEEDS seeds.
    """
    if table.num_seeds < MIN_SEEDS:
        return math.nan
    one = estimate_planned_contrast(table, weights)
    own = find_detectable_for(one, float(student.ppf(1 - LEVEL / 2 / num_tests, one.freedom)))
    if table.num_seeds >= OWN_ERROR_FROM:
        return own
    factor = find_detectable_contrast(table.num_seeds, table.num_arms, tuple(weights.tolist()), num_tests)
    variance, _ = pool_variance(table)
    return max(own, factor * math.sqrt(float(variance) * table.num_seeds))


@cache
def find_detectable_contrast(num_seeds: int, num_arms: int, weights: tuple[float, ...], num_tests: int = 1) -> float:
    """Find what `estimate_planned_contrast` finds with POWER, in units of the residual deviation of one run.

    Args:
        num_seeds: at least MIN_SEEDS.
        num_arms: arms of the study.
        weights: of the contrast, one for each arm.
        num_tests: planned contrasts, over which p is adjusted; the effect is that of the first step of Holm's method.

    Returns:
        The effect, where segments add nothing to the variance.
    """
    table = _draw_table(num_seeds, num_arms)
    found = estimate_planned_contrast(table, np.array(weights))
    return _find_needed_effect(found, student.ppf(1 - LEVEL / 2 / num_tests, found.freedom))


@cache
def find_detectable_difference(num_seeds: int, num_arms: int) -> float:
    """Find what `compare_with_baseline` finds with POWER, in units of the residual deviation of one run."""
    table, others = _draw_table(num_seeds, num_arms), num_arms - 1
    weights = np.zeros(num_arms)
    weights[:2] = -1, 1
    found = estimate_contrast(table, weights, pooled=True)
    holm = student.ppf(1 - LEVEL / 2 / others, found.freedom)
    dunnett = find_dunnett_limit(others, float((num_seeds - 1) * others))
    return _find_needed_effect(found, np.where(find_unlike_spreads(table.points), holm, dunnett))


def _draw_table(num_seeds: int, num_arms: int) -> ArmTable:
    assert num_seeds >= MIN_SEEDS
    return ArmTable(np.random.default_rng(1).standard_normal((num_seeds, num_arms, _STUDIES)))


def _find_needed_effect(found: MeanAndError, limit: np.ndarray) -> float:
    """Each study finds an effect that lifts its mean over its limit: POWER of them find their quantile."""
    return float(np.quantile(limit * np.sqrt(found.variance) - found.mean, POWER))


def _compute_power(effect: float, limit: float, freedom: float) -> float:
    scale, weights = compute_scales(freedom)
    return float((norm.sf(limit * scale - effect) + norm.cdf(-limit * scale - effect)) @ weights)
