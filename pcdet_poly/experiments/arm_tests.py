"""Tests of questions about several arms at once, with errors pooled over arms.

A study is a table y[s, a] of one number per seed and arm, paired by seed:

    y[s, a] = m[a] + r[s] + e[s, a]

The residual mean square of that table, with (S - 1)(A - 1) degrees of freedom, is the error of every comparison of
arms. It is steadier than a deviation of S paired differences, which has S - 1. Where segments were resampled as well,
the variance that comes from the choice of segments alone is added, as `statistics.estimate_over_both` does.

Shapes: S seeds, A arms, R draws of segments; any further axes are kept, which lets simulations test many studies at
once. Fewer than MIN_SEEDS seeds give means without interval and p.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.stats import f as fisher

from pcdet_poly.experiments.statistics import MIN_SEEDS, Estimate, bootstrap_variance, sample_variance

# Fewer segments than this, counted by what they weigh, do not show how other segments differ: then a claim is about the
# segments at hand (the table of `python -m pcdet_poly.experiments.simulate_rules` shows why).
MIN_SEGMENTS = 8.0

# From so many seeds on a contrast's own deviation is about as steady as the pooled one, and supposes less.
OWN_ERROR_FROM = 10
# Levels of Cochran's test of unlike spreads. A contrast of few seeds had better take the larger error once too often; a
# joint test suffers less from one arm, and is refused only where the spreads clearly differ.
_DOUBT_LEVEL = 0.2
_REFUSAL_LEVEL = 0.1


@dataclass(frozen=True)
class ArmTable:
    """One metric of every seed and arm, and the same on draws of whole segments."""

    points: np.ndarray  # (S, A, ...)
    resampled: np.ndarray | None = None  # (R, S, A, ...), each draw the same for all seeds and arms
    num_segments: np.ndarray | float = math.nan  # effective number, see `count_effective_segments`

    @property
    def num_seeds(self) -> int:
        """How many seeds there are."""
        return len(self.points)

    @property
    def num_arms(self) -> int:
        """How many arms there are."""
        return self.points.shape[1]

    @property
    def speaks_of_segments(self) -> bool:
        """Whether intervals include the choice of segments; if not, they are about the segments at hand."""
        return self.resampled is not None and bool(np.all(np.asarray(self.num_segments) >= MIN_SEGMENTS))


@dataclass(frozen=True)
class MeanAndError:
    """A mean, the variance of that mean, and its degrees of freedom (NaN where there are too few seeds)."""

    mean: np.ndarray
    variance: np.ndarray
    freedom: np.ndarray

    @property
    def estimate(self) -> Estimate:
        """Student's t interval and test against 0."""
        return Estimate.from_variance(self.mean, self.variance, self.freedom)


def count_effective_segments(weights: np.ndarray) -> np.ndarray:
    """Count segments by what they weigh: (sum w)^2 / sum w^2 over the first axis (G, ...).

    Twenty segments of which one holds half of all objects are worth four.
    """
    weights = np.asarray(weights, np.float64)
    count: np.ndarray = weights.sum(0) ** 2 / np.maximum((weights**2).sum(0), 1e-300)
    return count


def pool_error(points: np.ndarray) -> tuple[np.ndarray, int]:
    """Pool the residual variance of arm x seed over all arms.

    Args:
        points: (S, A, ...).

    Returns:
        The residual mean square (...), and its degrees of freedom.
    """
    residual = points - points.mean(0) - points.mean(1, keepdims=True) + points.mean((0, 1))
    freedom = (points.shape[0] - 1) * (points.shape[1] - 1)
    return (residual**2).sum((0, 1)) / max(freedom, 1), freedom


def find_unlike_spreads(points: np.ndarray, level: float = _DOUBT_LEVEL) -> np.ndarray:
    """Find tables in which one arm spreads more than the others, so that an error pooled over arms is wrong for it.

    This is Cochran's test of the largest share of the residual sum of squares.

    Args:
        points: (S, A, ...).
        level: share of tables with arms that spread alike that it finds all the same.

    Returns:
        (...) bool.
    """
    unlike: np.ndarray = _compute_largest_share(points) > _find_share_limit(*points.shape[:2], level)
    return unlike


def refuse_unlike(points: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Replace p of a joint test with NaN where arms clearly spread unequally: there it would err.

    Args:
        points: (S, A, ...) that were tested.
        p: (...).

    Returns:
        (...).
    """
    return np.where(find_unlike_spreads(points, _REFUSAL_LEVEL), math.nan, p)


def estimate_contrast(table: ArmTable, weights: np.ndarray, *, pooled: bool = True) -> MeanAndError:
    """Estimate a weighted sum of arms, whose weights add up to 0.

    Args:
        table: of all arms.
        weights: (A,).
        pooled: take the error of all arms, unless they spread unequally: then the larger of that and of the contrast's
            own error, with S - 1 degrees of freedom. Otherwise one number per seed is formed, and its own deviation
            taken, which supposes nothing about other arms.

    Returns:
        The mean over seeds, of shape (...), and its error.
    """
    by_seed = np.tensordot(weights, table.points, (0, 1))  # (S, ...)
    num, mean = table.num_seeds, by_seed.mean(0)
    if num < MIN_SEEDS:
        return MeanAndError(mean, np.full(mean.shape, math.nan), np.full(mean.shape, math.nan))
    error, num_free = pool_error(table.points)
    shared, own = error * float(np.sum(weights**2)) / num, sample_variance(by_seed) / num
    unlike = find_unlike_spreads(table.points)
    variance = np.where(unlike, np.maximum(shared, own), shared) if pooled else own
    freedom = np.where(unlike, num - 1, num_free) if pooled else np.full(mean.shape, num - 1)
    if not table.speaks_of_segments or table.resampled is None:
        return MeanAndError(mean, variance, freedom.astype(np.float64))
    only = pool_segment_variance(table.resampled, table.num_segments) * float(np.sum(weights**2))
    own_only = estimate_segment_variance(np.tensordot(weights, table.resampled, (0, 2)), table.num_segments)
    only = np.where(unlike | (not pooled), np.maximum(only, own_only), only)
    return MeanAndError(mean, *add_variances(variance, freedom, only, table.num_segments))


def estimate_planned_contrast(table: ArmTable, weights: np.ndarray) -> MeanAndError:
    """Estimate a planned contrast: with its own error from OWN_ERROR_FROM seeds on, with the larger one for fewer.

    The pooled error of few seeds is too small where the contrast's own arms spread more than the others, and the own
    one is too often small by luck. The larger of both, with its degrees of freedom, errs in neither way.
    """
    own = estimate_contrast(table, weights, pooled=False)
    if table.num_seeds >= OWN_ERROR_FROM or table.num_seeds < MIN_SEEDS:
        return own
    shared = estimate_contrast(table, weights)
    larger = own.variance > shared.variance
    variance = np.where(larger, own.variance, shared.variance)
    return MeanAndError(own.mean, variance, np.where(larger, own.freedom, shared.freedom))


def estimate_segment_variance(resampled: np.ndarray, num_segments: np.ndarray | float) -> np.ndarray:
    """Estimate the part of a mean's variance that comes from the choice of segments and from nothing else.

    Args:
        resampled: (R, S, ...) the number of each seed on draws of segments.
        num_segments: effective number of segments.

    Returns:
        Its variance (...), at least 0.
    """
    num = resampled.shape[1]
    together = bootstrap_variance(resampled.mean(1), num_segments)
    one_seed = bootstrap_variance(resampled, num_segments).mean(0)
    shared = np.clip((one_seed - together) / (num - 1), 0, together)  # a seed's luck on a segment, in both variances
    return together - shared


def pool_segment_variance(resampled: np.ndarray, num_segments: np.ndarray | float) -> np.ndarray:
    """Pool over arms what `estimate_segment_variance` estimates: per unit of a contrast's squared weights.

    Args:
        resampled: (R, S, A, ...).
        num_segments: effective number of segments.

    Returns:
        (...), at least 0.
    """
    centred = resampled - resampled.mean(2, keepdims=True)
    num, arms = resampled.shape[1:3]
    together = bootstrap_variance(centred.mean(1), num_segments).sum(0) / (arms - 1)
    one_seed = bootstrap_variance(centred, num_segments).mean(0).sum(0) / (arms - 1)
    shared = np.clip((one_seed - together) / (num - 1), 0, together)
    return together - shared


def add_variances(
    variance: np.ndarray, num_free: np.ndarray | int, only_segments: np.ndarray, num_segments: np.ndarray | float
) -> tuple[np.ndarray, np.ndarray]:
    """Add the variances over seeds and over segments.

    Args:
        variance: of the mean over seeds.
        num_free: its degrees of freedom.
        only_segments: what the choice of segments adds.
        num_segments: effective number of segments.

    Returns:
        The sum, and Satterthwaite's degrees of freedom, of which there are never more than of the larger part.
    """
    total, last = variance + only_segments, np.asarray(num_segments) - 1
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = total**2 / (variance**2 / num_free + only_segments**2 / last)
    freedom = np.where(total > 0, freedom, num_free)
    return total, np.minimum(freedom, np.where(variance >= only_segments, num_free, last))


def pool_variance(table: ArmTable) -> tuple[np.ndarray, np.ndarray]:
    """Pool the variance of an arm's mean, apart from what all arms share, over seeds and segments; and its freedom."""
    error, num_free = pool_error(table.points)
    variance, freedom = error / table.num_seeds, np.full(error.shape, float(num_free))
    if not table.speaks_of_segments or table.resampled is None:
        return variance, freedom
    only = pool_segment_variance(table.resampled, table.num_segments)
    return add_variances(variance, freedom, only, table.num_segments)


@dataclass(frozen=True)
class Equality:
    """The test that all arms are equal: Fisher's F with its degrees of freedom."""

    statistic: np.ndarray
    freedom: tuple[np.ndarray | float, np.ndarray | float]
    p: np.ndarray


def test_equality(table: ArmTable) -> Equality:
    """Test whether all arms are equal: analysis of variance of arm + seed.

    With segments, what their choice adds to the variance is pooled over arms, too.

    Args:
        table: of all arms.

    Returns:
        The test; p is NaN for fewer than MIN_SEEDS seeds, and where arms spread unequally: such a test would err.
    """
    num, arms = table.num_seeds, table.num_arms
    means = table.points.mean(0)  # (A, ...)
    spread = ((means - means.mean(0)) ** 2).sum(0)
    if num < MIN_SEEDS or arms < 2:
        return Equality(np.full(spread.shape, math.nan), (math.nan, math.nan), np.full(spread.shape, math.nan))
    variance, freedom = pool_variance(table)
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = spread / (arms - 1) / variance
    p = np.where(spread > 0, fisher.sf(statistic, arms - 1, freedom), 1.0)
    return Equality(statistic, (arms - 1, freedom), refuse_unlike(table.points, p))


test_equality.__test__ = False  # type: ignore[attr-defined]  # not one of pytest's


def _compute_largest_share(points: np.ndarray) -> np.ndarray:
    residual = points - points.mean(0) - points.mean(1, keepdims=True) + points.mean((0, 1))
    by_arm = (residual**2).sum(0)  # (A, ...)
    share: np.ndarray = by_arm.max(0) / np.maximum(by_arm.sum(0), 1e-300)
    return share


@cache
def _find_share_limit(num_seeds: int, num_arms: int, level: float) -> float:
    """Find the largest share that only `level` of tables exceed whose arms spread alike; never with two arms."""
    if num_arms < 3 or num_seeds < MIN_SEEDS:
        return 1.0
    drawn = np.random.default_rng(0).standard_normal((num_seeds, num_arms, 20_000))
    return float(np.quantile(_compute_largest_share(drawn), 1 - level))
