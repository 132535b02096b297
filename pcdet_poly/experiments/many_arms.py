"""Every arm against the baseline, judged together by Dunnett's method."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.optimize import brentq
from scipy.stats import chi2, norm
from scipy.stats import t as student

from pcdet_poly.experiments.arm_tests import ArmTable, MeanAndError, estimate_contrast, find_unlike_spreads
from pcdet_poly.experiments.statistics import LEVEL, MIN_SEEDS, Estimate, adjust_by_holm


@dataclass(frozen=True)
class ManyDifferences:
    """Every arm minus the baseline, judged together: one of them errs in at most 5 % of studies."""

    method: str  # "Dunnett", or "Holm" where arms spread unequally
    arms: tuple[int, ...]  # columns of the table
    each: tuple[MeanAndError, ...]
    adjusted: tuple[Estimate, ...]  # with simultaneous intervals (Bonferroni's in the case of Holm) and adjusted p
    limits: tuple[float, ...]  # an arm is called different where its ratio is beyond


_CORRELATION = 0.5  # of two arms' differences from one baseline, all with as many seeds
_RARE, _DEEPEST = 1e-4, -700.0  # shares of tables: below the first by their logarithm, down to exp of the second


def compare_with_baseline(table: ArmTable, baseline: int) -> ManyDifferences:
    """Compare every arm of one study with the baseline.

    Args:
        table: (S, A), one study.
        baseline: its column.

    Returns:
        The differences; p is NaN for fewer than MIN_SEEDS seeds.
    """
    others = tuple(arm for arm in range(table.num_arms) if arm != baseline)
    alike = table.num_seeds < MIN_SEEDS or not bool(find_unlike_spreads(table.points))
    each = []
    for arm in others:
        weights = np.zeros(table.num_arms)
        weights[[baseline, arm]] = -1, 1
        each.append(estimate_contrast(table, weights, pooled=True))
    if alike:
        limits = tuple(_find_limit(len(others), float(one.freedom)) for one in each)
        p = np.array([_compute_chance(_compute_ratio(one), len(others), float(one.freedom)) for one in each])
    else:
        p = adjust_by_holm(np.array([float(one.estimate.p) for one in each]))
        limits = tuple(float(student.ppf(1 - LEVEL / 2 / len(others), one.freedom)) for one in each)
    adjusted = tuple(_build_estimate(one, *pair) for one, *pair in zip(each, limits, p.tolist(), strict=True))
    return ManyDifferences("Dunnett" if alike else "Holm", others, tuple(each), adjusted, limits)


def _build_estimate(one: MeanAndError, limit: float, p: float) -> Estimate:
    half_width = limit * np.sqrt(one.variance)
    return Estimate(one.mean, one.mean - half_width, one.mean + half_width, np.asarray(p))


def _compute_ratio(one: MeanAndError) -> float:
    error = float(np.sqrt(one.variance))
    return abs(float(one.mean)) / error if error else (math.inf if one.mean else 0.0)


def _find_limit(num_arms: int, freedom: float) -> float:
    return math.nan if math.isnan(freedom) else find_dunnett_limit(num_arms, freedom)


def adjust_by_dunnett(ratio: np.ndarray, num_arms: int, freedom: np.ndarray | float) -> np.ndarray:
    """Adjust p of comparisons of `num_arms` arms with one baseline by Dunnett's method.

    Args:
        ratio: differences divided by their errors, any shape.
        num_arms: arms that are compared, without the baseline.
        freedom: degrees of freedom of the errors, of the same shape or one number.

    Returns:
        For each the chance that the largest of `num_arms` such ratios is at least as far from 0 if no arm differs;
        NaN where the ratio or its degrees of freedom are.
    """
    ratio, freedom = np.broadcast_arrays(np.abs(np.asarray(ratio, np.float64)), np.asarray(freedom, np.float64))
    flat = [_compute_chance(float(t), num_arms, float(v)) for t, v in zip(ratio.flat, freedom.flat, strict=True)]
    return np.array(flat).reshape(ratio.shape)


@cache
def find_dunnett_limit(num_arms: int, freedom: float) -> float:
    """Find the ratio from which on Dunnett's p is at most LEVEL."""
    return float(brentq(lambda t: _compute_chance(t, num_arms, freedom) - LEVEL, 0.5, 500.0))


def _compute_chance(ratio: float, num_arms: int, freedom: float) -> float:
    """P(max |T| >= ratio) of equally correlated t's with one common error."""
    if math.isnan(ratio) or math.isnan(freedom):
        return math.nan
    scale, weights = compute_scales(freedom)
    nodes, heights = np.polynomial.hermite_e.hermegauss(60)
    shift, width = math.sqrt(_CORRELATION) * nodes[:, None], math.sqrt(1 - _CORRELATION)
    # log1p keeps the digits of small chances.
    outside = norm.sf((ratio * scale - shift) / width) + norm.cdf((-ratio * scale - shift) / width)
    with np.errstate(divide="ignore"):
        any_outside = -np.expm1(num_arms * np.log1p(-np.minimum(outside, 1.0)))  # (nodes, scales)
    return float(heights @ any_outside @ weights / math.sqrt(2 * math.pi))


@cache
def compute_scales(freedom: float) -> tuple[np.ndarray, np.ndarray]:
    """Compute nodes of a measured deviation divided by the true one, and their weights.

    A very small chance comes from the rare tables whose measured deviation is far too small. So these have nodes of
    their own, evenly over the logarithm of how rare they are.
    """
    nodes, weights = np.polynomial.legendre.leggauss(300)
    usual = (1 + _RARE + (1 - _RARE) * nodes) / 2
    far_nodes, far_weights = np.polynomial.legendre.leggauss(200)
    depth = (math.log(_RARE) - _DEEPEST) / 2
    rare = np.exp(_DEEPEST + depth * (far_nodes + 1))
    levels = np.concatenate([rare, usual])
    return np.sqrt(chi2.ppf(levels, freedom) / freedom), np.concatenate(
        [far_weights * depth * rare, weights / 2 * (1 - _RARE)]
    )
