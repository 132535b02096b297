"""The report's sentences: each is said of studies made up for it, and only of those."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import replace

import numpy as np
import pytest

from pcdet_poly.experiments.report.epsilon_choice import choose_on_halves, find_epsilon_arms
from pcdet_poly.experiments.report.findings import describe_order_of_p, write_findings
from pcdet_poly.experiments.report.learning import LEAST_LEARNT, list_learnt_classes
from pcdet_poly.experiments.report.loss_behaviour import LossBehaviour
from pcdet_poly.experiments.report.metrics import DetectorMetrics, RankingMetric, TableCell, adjust_p

MAIN = RankingMetric("3D", 2, "aph")
ARMS = {"focal": 0.0, "drop1": -20.0, "epsilon1": 0.0}  # true differences from the baseline, points


def make_study(
    metrics: DetectorMetrics, num_seeds: int, *, level: float = 50.0, spread: float = 0.1
) -> DetectorMetrics:
    """Make up a study with `num_seeds` runs per arm that score `level` points plus the arm's difference plus noise."""
    rng = np.random.default_rng(0)
    shape = next(iter(metrics._points.values())).shape
    made = copy(metrics)
    runs = {arm: dict.fromkeys(range(num_seeds), found[0]) for arm, found in metrics.detector.runs.items()}
    made.detector = replace(metrics.detector, runs=runs)
    made._points = {
        (arm, seed): level + ARMS[arm] * (level > 1) + spread * rng.standard_normal(shape)
        for arm in runs
        for seed in range(num_seeds)
    }
    return made


def find_sentences(metrics: DetectorMetrics, losses: Sequence[LossBehaviour] = ()) -> list[str]:
    """Write the findings of a study."""
    cells = [TableCell(name, *MAIN) for name in metrics.shown_classes]
    adjusted = adjust_p([one for cell in cells for one in metrics.compare_arms(cell)])
    choices = choose_on_halves(metrics, resamples=5)
    return write_findings(metrics, adjusted, choices, losses, find_epsilon_arms(metrics.detector))


def test_three_seeds_are_judged(metrics: DetectorMetrics) -> None:
    sentences = find_sentences(make_study(metrics, 3))
    (first,) = [line for line in sentences if line.startswith("Different from focal")]
    assert "drop1" in first
    assert "epsilon1" not in first
    (control,) = [line for line in sentences if line.startswith("Control drop1 should be worse")]
    assert control.endswith("as expected.")
    assert any(line.startswith("Smallest true difference") for line in sentences)


def test_a_control_that_shows_nothing_casts_doubt(metrics: DetectorMetrics) -> None:
    (control,) = [line for line in find_sentences(make_study(metrics, 3, spread=30.0)) if line.startswith("Control")]
    assert "NOT seen" in control


@pytest.mark.parametrize("num_seeds", [1, 2])
def test_fewer_than_three_seeds_give_no_p_and_no_verdict(metrics: DetectorMetrics, num_seeds: int) -> None:
    made = make_study(metrics, num_seeds)
    for arm in ("drop1", "epsilon1"):
        one = made.compare_arm(arm, TableCell("VEHICLE", *MAIN))
        assert np.isnan([one.claim.low, one.claim.high, one.claim.p, one.over_both.p, one.detectable]).all()
        assert float(one.claim.mean) == pytest.approx(np.mean(one.by_seed))
    text = " ".join(find_sentences(made))
    assert "no difference is tested, and none is claimed" in text
    assert "which fewer than 3 seeds cannot judge" in text
    assert "no smallest detectable effect" in text
    for verdict in ("Different from", "as expected", "NOT", "more than chance explains", "nan"):
        assert verdict not in text


def test_an_arm_with_two_seeds_is_named_beside_tested_ones(metrics: DetectorMetrics) -> None:
    made = make_study(metrics, 3)
    del made.detector.runs["epsilon1"][2]
    assert "Not tested, with fewer than 3 seeds: epsilon1." in find_sentences(made)


def test_a_study_in_which_nothing_was_learnt_is_told_as_that(metrics: DetectorMetrics) -> None:
    made = make_study(metrics, 3, level=0.05, spread=0.001)
    sentences = find_sentences(made)
    assert sentences[0].startswith("Nothing was learnt: no arm reaches 2 points of 3D LEVEL_2 APH in any class")
    assert "vehicle 0.05" in sentences[0]
    assert len(sentences) == 1  # no verdict, no detectable effect


def test_a_class_that_was_not_learnt_is_named(metrics: DetectorMetrics) -> None:
    made = make_study(metrics, 3)
    row = made._shards.index("OBJECT_TYPE_TYPE_CYCLIST")
    for points in made._points.values():
        points[:, :, row] = LEAST_LEARNT - 0.5
    assert list_learnt_classes(made) == ["VEHICLE", "PEDESTRIAN"]
    (line,) = [line for line in find_sentences(made) if line.startswith("Not learnt by any arm")]
    assert "cyclist 1.50" in line
    assert "vehicle" not in line


def _end(arm: str, peaks: float, background: float) -> LossBehaviour:
    return LossBehaviour(arm, {}, {"p_t/peaks": peaks, "p_t/background": 1 - background}, 0.0)


def test_p_is_told_with_epsilon_ascending() -> None:
    losses = [_end("b", 0.6, 0.02), _end("a", 0.5, 0.03), _end("other", 0.1, 0.9)]
    (line,) = describe_order_of_p(losses, {"a": -1.0, "b": 1.0})
    assert "0.500/0.030, 0.600/0.020; at peaks it rises, on background it falls" in line
    (line,) = describe_order_of_p([*losses, _end("c", 0.55, 0.02)], {"a": -1.0, "b": 1.0, "c": 2.0})
    assert "at peaks it neither rises nor falls throughout, on background it falls" in line
    assert describe_order_of_p(losses, {"a": -1.0}) == []
