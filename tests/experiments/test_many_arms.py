"""Dunnett's method and detectable effects against scipy and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from pcdet_poly.experiments.arm_tests import ArmTable, estimate_contrast
from pcdet_poly.experiments.detectable import (
    find_detectable_arms,
    find_detectable_contrast,
    find_detectable_difference,
    find_detectable_effect,
    find_detectable_planned,
    find_t_limit,
)
from pcdet_poly.experiments.many_arms import adjust_by_dunnett, compare_with_baseline, find_dunnett_limit
from pcdet_poly.experiments.statistics import detectable_difference


def test_dunnett_agrees_with_scipy() -> None:
    """scipy's p comes from quasi-random numbers and is good to about 1e-3."""
    x = np.random.default_rng(0).standard_normal((4, 6))
    theirs = stats.dunnett(*x[1:], control=x[0])
    # Twice what scipy's is good to.
    assert adjust_by_dunnett(theirs.statistic, 3, 20.0) == pytest.approx(theirs.pvalue, abs=2e-3)


@pytest.mark.parametrize("freedom", [2.0, 9.0, 27.0, 100.0])
@pytest.mark.parametrize("ratio", [1.0, 5.0, 10.0, 37.0])
def test_small_chances_have_right_digits(ratio: float, freedom: float) -> None:
    """With one arm it is Student's t, whose far tail scipy has to all digits; no p is shown with more than four."""
    chance = adjust_by_dunnett(np.array([ratio]), 1, freedom)[0]
    # Half of the last of four digits.
    assert chance == pytest.approx(2 * stats.t.sf(ratio, freedom), rel=1e-4, abs=0)


def test_dunnett_limits_are_those_of_tables() -> None:
    """Two-sided, 5 %: Dunnett 1964."""
    # Half of the last digit of a table with three.
    assert find_dunnett_limit(1, 10.0) == pytest.approx(stats.t.ppf(0.975, 10), abs=1e-4)
    # Half of the last digit of the table.
    assert find_dunnett_limit(3, 12.0) == pytest.approx(2.68, abs=0.005)


def test_a_detectable_effect_of_one_t_test() -> None:
    effect = find_detectable_effect(find_t_limit(4.0), 4.0) / np.sqrt(5)
    # Power is integrated by quadrature here and a series there: four digits are shown at most.
    assert effect == pytest.approx(detectable_difference(1.0, 5), rel=1e-4)


@pytest.mark.parametrize(("num_seeds", "num_arms"), [(5, 6), (12, 4)])
def test_the_rules_find_what_is_called_detectable(num_seeds: int, num_arms: int) -> None:
    """Other random numbers than the effect was found with; 1,000 studies give 80 % to within 2 x 1.3 %, and 1 %."""
    rng, weights = np.random.default_rng(9), np.zeros(num_arms)
    weights[:2] = -1, 1
    effect = find_detectable_difference(num_seeds, num_arms)
    found = 0
    for _ in range(1000):
        points = rng.standard_normal((num_seeds, num_arms))
        points[:, 1] += effect
        found += bool(compare_with_baseline(ArmTable(points), 0).adjusted[0].p <= 0.05)
    assert found / 1000 == pytest.approx(0.8, abs=0.037)
    assert find_detectable_contrast(num_seeds, num_arms, tuple(weights)) < effect  # one question asks less than many


def test_an_arm_that_spreads_more_needs_a_larger_effect() -> None:
    """Its interval is wide, and what it could have shown is beyond that interval's half-width; the others' is not."""
    points = np.random.default_rng(3).standard_normal((10, 5))
    points[:, 2] *= 8
    table = ArmTable(points)
    many = compare_with_baseline(table, 0)
    assert many.method == "Holm"
    needed = dict(zip(many.arms, find_detectable_arms(table, many), strict=True))
    half_widths = dict(zip(many.arms, [float(e.high - e.mean) for e in many.adjusted], strict=True))
    assert all(needed[arm] > half_widths[arm] for arm in many.arms)
    assert needed[2] > max(needed[arm] for arm in (1, 3, 4))
    alike = ArmTable(np.random.default_rng(4).standard_normal((10, 5)))
    assert len(set(find_detectable_arms(alike, compare_with_baseline(alike, 0)))) == 1


def test_a_planned_contrast_needs_what_its_own_error_asks() -> None:
    """Of ten seeds its own error decides, however much arms outside it spread."""
    points = np.random.default_rng(5).standard_normal((10, 4))
    weights = np.array([-1.0, 1.0, 0.0, 0.0])
    needed = find_detectable_planned(ArmTable(points), weights, 1)
    points[:, 3] *= 50
    assert find_detectable_planned(ArmTable(points), weights, 1) == pytest.approx(needed)
    assert find_detectable_planned(ArmTable(points), weights, 3) > needed  # more tests, less power each
    assert np.isnan(find_detectable_planned(ArmTable(points[:2]), weights, 1))


def test_fewer_than_three_seeds_give_no_p() -> None:
    table = ArmTable(np.array([[1.0, 5.0, 9.0], [1.1, 5.2, 9.0]]))
    assert np.isnan(estimate_contrast(table, np.array([-1.0, 1.0, 0.0])).estimate.p)
    assert all(np.isnan(e.p) and np.isnan(e.low) for e in compare_with_baseline(table, 0).adjusted)


def test_arms_that_never_differ() -> None:
    table = ArmTable(np.ones((4, 3)))
    assert [float(e.p) for e in compare_with_baseline(table, 0).adjusted] == pytest.approx([1.0, 1.0])
