"""The report's rules on simulated studies: error rates, power, and rules that would err.

A share of 5 % of 1,000 studies has a standard deviation of .7 %: limits are 6 % plus two of them, and 92 to 98 %
widened by as much. The whole table, with more studies, is printed by `python -m pcdet_poly.experiments.simulate_rules`.
"""

from __future__ import annotations

import numpy as np
import pytest

from pcdet_poly.commands.main import call_command
from pcdet_poly.experiments.arm_tests import (
    ArmTable,
    estimate_contrast,
    estimate_planned_contrast,
    find_unlike_spreads,
    pool_error,
)
from pcdet_poly.experiments.cross_fit import choose_crosswise
from pcdet_poly.experiments.simulate_rules import error_rates
from pcdet_poly.experiments.simulate_rules.error_rates import CONTRAST, StudyKind, format_row, list_kinds, measure_rates
from tests.tolerances import error_of_mean

NUM = 1000
MOST = 0.06 + 2 * 0.007
KINDS = [
    StudyKind(3, 10),
    StudyKind(5, 20),
    StudyKind(5, 4),
    StudyKind(5, 20, tails="t3"),
    StudyKind(5, 20, sizes="unequal"),
    StudyKind(4, 20, spread="segments"),
    StudyKind(5, 10, arms="unlike"),
    StudyKind(10, 20, arms="unlike"),
]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_no_rule_errs_too_often(kind: StudyKind) -> None:
    rates = measure_rates(kind, num_studies=NUM)
    assert 0.92 - 0.014 <= rates.coverage <= 0.98 + 0.014
    for name in ("contrast", "trend", "equality", "dunnett"):
        assert getattr(rates, name) <= MOST, name
    if kind.num_segments >= 20 and kind.num_seeds >= 4:
        assert rates.choice <= MOST


def test_power_is_what_is_promised() -> None:
    """80 %; a share of 1,000 studies has a standard deviation of 1.3 %, the promised effect another one of 1 %."""
    rates = measure_rates(StudyKind(5, 20), num_studies=NUM)
    assert rates.power == pytest.approx(0.8, abs=0.05)
    assert rates.speaks_of_segments == 1


def test_an_error_pooled_over_unlike_arms_would_err() -> None:
    """With few seeds the planned contrast takes the larger error, with ten its own: the pooled one is too small."""
    for num_seeds, limit in ((3, 2.23), (5, 2.09), (10, 2.01)):
        points = np.random.default_rng(3).standard_normal((num_seeds, 6, 2000))
        points[:, -1] *= 2
        error, _ = pool_error(points)
        ratio = (points[:, -1] - points[:, 0]).mean(0) / np.sqrt(2 * error / num_seeds)
        assert np.mean(np.abs(ratio) > limit) > 0.1
        assert np.mean(estimate_planned_contrast(ArmTable(points), CONTRAST).estimate.p <= 0.05) <= 0.06
        shared = estimate_contrast(ArmTable(points[:, :-1]), CONTRAST[[0, 1, 2, 3, 5]])  # arms that are alike
        cautious = estimate_planned_contrast(ArmTable(points[:, :-1]), CONTRAST[[0, 1, 2, 3, 5]])
        assert num_seeds == 10 or np.all(cautious.variance >= shared.variance)


def test_an_arm_that_spreads_more_is_noticed() -> None:
    points = np.random.default_rng(0).standard_normal((20, 6, 500))
    error = error_of_mean(np.sqrt(0.2 * 0.8), 500)
    assert find_unlike_spreads(points).mean() == pytest.approx(0.2, abs=error)
    points[:, -1] *= 2
    assert find_unlike_spreads(points).mean() > 0.95
    weights = np.array([-1.0, 0, 0, 0, 0, 1])
    error, _ = pool_error(points)
    ours = estimate_contrast(ArmTable(points), weights).variance
    assert np.all(ours >= error * 2 / 20 - 1e-12)  # never less than what all arms share
    assert np.mean(ours) == pytest.approx((1 + 4) / 20, rel=0.1)


def test_choosing_on_the_same_seeds_would_report_a_gain() -> None:
    """Only seeds differ here: whoever splits segments alone chooses and judges with the same luck."""
    points = np.random.default_rng(1).standard_normal((5, 5, 2000))
    halves = np.stack([points, points])  # the same on both halves of the segments
    found = choose_crosswise(halves, 0)
    assert float(found.chosen_gain.mean()) > 0.5
    assert float(found.gain.mean.mean()) == pytest.approx(0, abs=0.05)
    best = points.mean(0).argmax(0)
    by_segments_alone = np.take_along_axis(points.mean(0), best[None], 0)[0] - points.mean(0)[0]
    assert float(by_segments_alone.mean()) > 0.4


def test_the_table_names_every_kind_once() -> None:
    kinds = list(list_kinds())
    assert len(set(kinds)) == len(kinds)
    assert {kind.num_seeds for kind in kinds} >= {3, 5, 40}
    row = format_row(kinds[0], measure_rates(kinds[0], num_studies=20))
    assert row.startswith("| 3 | 4 | as measured | ")


def test_the_command_prints_a_row_per_kind(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(error_rates, "list_kinds", lambda: [StudyKind(3, 4), StudyKind(4, 20)])
    assert call_command("simulate-rules", ["--studies", "5"]) == 0
    head, line, first, second = capsys.readouterr().out.splitlines()
    assert head.count("|") == line.count("|") == first.count("|") == second.count("|")
