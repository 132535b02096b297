"""Intervals and tests on simulated studies whose truth is known, and on numbers from tables."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from pcdet_poly.evaluation import draw_segments
from pcdet_poly.experiments import statistics
from pcdet_poly.experiments.statistics import (
    MIN_SEEDS,
    Estimate,
    adjust_by_holm,
    count_required_pairs,
    detectable_difference,
    estimate_over_both,
    estimate_over_seeds,
    estimate_over_segments,
    t_test_power,
)
from tests.tolerances import FLOAT64_CANCELLED

STUDIES, SEEDS, SEGMENTS, RESAMPLES = 2000, 5, 20, 100
# Standard deviations over seeds, over segments, and of what is neither.
SPREADS = [(1.0, 1.0, 1.0), (1.0, 0.0, 1.0), (0.0, 3.0, 1.0), (0.2, 1.0, 4.0)]


def simulate_studies(
    effect: float, spread: tuple[float, float, float], seed: int, classes: int = 1, num_seeds: int = SEEDS
) -> tuple[np.ndarray, ...]:
    """Differences (S, N, K) and resampled ones (R, S, N, K) of N studies of K classes; `effect` is the truth.

    A segment's weight is the number of its objects: like a recall, the difference is a ratio of sums over segments.
    """
    rng = np.random.default_rng(seed)
    shape = (STUDIES, classes)
    by_seed, by_segment, by_both = spread
    values = effect + by_seed * rng.standard_normal((num_seeds, 1, *shape))
    values = values + by_segment * rng.standard_normal((1, SEGMENTS, *shape))
    values = values + by_both * rng.standard_normal((num_seeds, SEGMENTS, *shape))
    objects = rng.poisson(30, (SEGMENTS, *shape)) + 1.0
    draws = np.concatenate([np.ones((1, SEGMENTS)), draw_segments(SEGMENTS, RESAMPLES, seed)])
    sums = np.einsum("rg,sgnk->rsnk", draws, values * objects, optimize=True)
    ratios = sums / np.einsum("rg,gnk->rnk", draws, objects, optimize=True)[:, None]
    return ratios[0], ratios[1:]


def measure_coverage(found: Estimate, truth: float) -> float:
    return float(np.mean((found.low <= truth) & (truth <= found.high)))


@pytest.mark.parametrize(("effect", "spread"), zip((0.0, 1.5, 0.0, 1.5), SPREADS, strict=True))
def test_intervals_over_both_cover_the_truth(effect: float, spread: tuple[float, float, float]) -> None:
    differences, resampled = simulate_studies(effect, spread, seed=1, classes=4)
    assert 0.93 <= measure_coverage(estimate_over_both(differences, resampled, SEGMENTS), effect) <= 0.97


def test_each_interval_covers_what_it_is_about_and_no_more() -> None:
    differences, resampled = simulate_studies(0.5, (1.0, 0.0, 0.0), seed=2)
    assert 0.93 <= measure_coverage(estimate_over_seeds(differences), 0.5) <= 0.97
    assert (
        measure_coverage(estimate_over_segments(differences, resampled, SEGMENTS), 0.5) < 0.1
    )  # knows nothing of seeds
    differences, resampled = simulate_studies(0.5, (0.0, 1.0, 0.0), seed=3)
    assert 0.93 <= measure_coverage(estimate_over_segments(differences, resampled, SEGMENTS), 0.5) <= 0.97
    assert measure_coverage(estimate_over_seeds(differences), 0.5) < 0.1  # knows nothing of segments


@pytest.mark.parametrize("spread", SPREADS)
def test_false_positives_over_three_classes(spread: tuple[float, float, float]) -> None:
    differences, resampled = simulate_studies(0.0, spread, seed=4, classes=3)
    p = estimate_over_both(differences, resampled, SEGMENTS).p  # (N, 3)
    assert np.mean((p <= 0.05).any(1)) > 0.08  # what uncorrected tests would do
    assert np.mean([(adjust_by_holm(row) <= 0.05).any() for row in p]) <= 0.06


@pytest.mark.parametrize("spread", SPREADS)
def test_false_positives_with_the_fewest_seeds(spread: tuple[float, float, float]) -> None:
    """The share of 6,000 tests that err has a standard deviation of 0.3 %, hence the limit of 6 %."""
    differences, resampled = simulate_studies(0.0, spread, seed=7, classes=3, num_seeds=MIN_SEEDS)
    assert np.mean(estimate_over_both(differences, resampled, SEGMENTS).p <= 0.05) <= 0.06
    too_few, resampled = simulate_studies(0.0, spread, seed=7, classes=3, num_seeds=MIN_SEEDS - 1)
    assert np.isnan(estimate_over_both(too_few, resampled, SEGMENTS).p).all()


def test_one_seed_less_would_err_too_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "MIN_SEEDS", 2)
    differences, resampled = simulate_studies(0.0, SPREADS[0], seed=7, classes=3, num_seeds=2)
    assert np.mean(estimate_over_both(differences, resampled, SEGMENTS).p <= 0.05) > 0.08


def test_a_known_effect_is_found_as_often_as_power_says() -> None:
    rng = np.random.default_rng(5)
    effect = detectable_difference(1.0, SEEDS)
    differences = effect + rng.standard_normal((SEEDS, 20_000))
    assert np.mean(estimate_over_seeds(differences).p <= 0.05) == pytest.approx(0.8, abs=0.01)


def test_over_seeds_is_the_paired_t_test() -> None:
    rng = np.random.default_rng(6)
    ours, base = rng.standard_normal((2, 6))
    found, expected = estimate_over_seeds(ours - base), stats.ttest_rel(ours, base)
    interval = expected.confidence_interval()
    assert (found.p, found.low, found.high) == pytest.approx(
        (expected.pvalue, interval.low, interval.high), rel=FLOAT64_CANCELLED
    )


def test_holm_by_hand() -> None:
    assert adjust_by_holm(np.array([0.01, 0.04, 0.03])) == pytest.approx([0.03, 0.06, 0.06])
    assert adjust_by_holm(np.array([0.2, 0.9, 0.6])) == pytest.approx([0.6, 1.0, 1.0])
    assert adjust_by_holm(np.array([0.02, math.nan])) == pytest.approx([0.02, math.nan], nan_ok=True)
    assert adjust_by_holm(np.array([math.nan])) == pytest.approx([math.nan], nan_ok=True)


@pytest.mark.parametrize(("sd", "seeds"), [(0.3, 6), (0.5, 10), (1.0, 34)])
def test_seeds_needed_to_see_half_a_point(sd: float, seeds: int) -> None:
    assert count_required_pairs(sd, 0.5) == seeds
    assert t_test_power(0.5 / sd, seeds - 1) < 0.8 <= t_test_power(0.5 / sd, seeds)
    assert detectable_difference(sd, seeds) <= 0.5 < detectable_difference(sd, seeds - 1)


def test_power_without_an_effect_is_the_level() -> None:
    # Power is integrated by quadrature: four digits are shown at most.
    assert t_test_power(0.0, 7) == pytest.approx(0.05, rel=1e-5)
    assert t_test_power(3.0, 30) == pytest.approx(1.0)


def test_too_few_say_nothing() -> None:
    one = estimate_over_seeds(np.array([[0.3]]))
    assert one.mean == pytest.approx([0.3])
    assert np.isnan([one.low, one.high, one.p]).all()
    both = estimate_over_both(np.ones((3, 1)), np.ones((9, 3, 1)), num_segments=1)
    assert np.isnan([both.low, both.p]).all()
    assert math.isnan(detectable_difference(1.0, 1))


def test_arms_that_never_differ() -> None:
    found = estimate_over_both(np.zeros((3, 1)), np.zeros((9, 3, 1)), num_segments=4)
    assert (found.low, found.high, found.p) == (0.0, 0.0, 1.0)
