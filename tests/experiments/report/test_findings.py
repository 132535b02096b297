"""The report's sentences: each is said of studies made up for it, and only of those."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import replace

import numpy as np
import pytest

from pcdet_poly.experiments.report.epsilon_choice import choose_epsilon
from pcdet_poly.experiments.report.gradient_sizes import ArmSize
from pcdet_poly.experiments.report.learning import LEAST_LEARNT, list_learnt_classes
from pcdet_poly.experiments.report.loss_behaviour import LossBehaviour
from pcdet_poly.experiments.report.metrics import DetectorMetrics, RankingMetric, TableCell, adjust_p
from pcdet_poly.experiments.report.planned import answer_questions
from pcdet_poly.experiments.report.sentences.findings import Evidence, describe_order_of_p, write_findings
from pcdet_poly.experiments.sweep.questions import Contrast, MainMetric, Questions

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
    made.__dict__.pop("complete_arms", None)
    made._errors = {}
    made.detector = replace(metrics.detector, runs=runs)
    made._points = {
        (arm, seed): level + ARMS[arm] * (level > 1) + spread * rng.standard_normal(shape)
        for arm in runs
        for seed in range(num_seeds)
    }
    made.__dict__["_low_iou_points"] = made._points
    return made


def find_sentences(metrics: DetectorMetrics, sizes: dict[str, ArmSize] | None = None) -> list[str]:
    """Write the findings of a study."""
    cells = [TableCell(name, *MAIN) for name in metrics.shown_classes]
    adjusted = adjust_p([one for cell in cells for one in metrics.compare_arms(cell)])
    answers = answer_questions(metrics)
    choice = choose_epsilon(metrics, MAIN, metrics.classes, resamples=5)
    return write_findings(Evidence(metrics, adjusted, answers, sizes or {}, choice))


def find_one(sentences: Sequence[str], start: str) -> str:
    """The only sentence with this start."""
    (line,) = [line for line in sentences if line.startswith(start)]
    return line


def test_three_seeds_are_judged(metrics: DetectorMetrics) -> None:
    sentences = find_sentences(make_study(metrics, 3))
    assert sentences[0].startswith("Main metric: BEV LEVEL_1 AP, mean over vehicle, pedestrian and cyclist; 3 seeds")
    assert "on these segments alone" in sentences[0]  # there are four
    assert "The arms are not all equal (F test of arm + seed, F(2, 4)" in sentences[1]
    first = find_one(sentences, "Different from focal")
    assert "Dunnett over 2 arms" in first
    assert "drop1" in first
    assert "epsilon1" not in first
    assert find_one(sentences, "Control drop1 should be worse").endswith("as expected.")
    assert find_one(sentences, "Smallest true effects")
    assert len([line for line in sentences if line.startswith("Beside it, not decisive")]) == 2
    assert find_one(sentences, "Exploratory: 6 comparisons by class")


def test_one_class_is_no_mean(metrics: DetectorMetrics) -> None:
    made = make_study(metrics, 3)
    made.detector = replace(made.detector, questions=Questions(main=MainMetric(classes=("VEHICLE",))))
    assert find_sentences(made)[0].startswith("Main metric: BEV LEVEL_1 AP of vehicle; 3 seeds of 3 arms.")


def test_a_control_that_shows_nothing_casts_doubt(metrics: DetectorMetrics) -> None:
    assert "NOT seen" in find_one(find_sentences(make_study(metrics, 3, spread=30.0)), "Control drop1")


@pytest.mark.parametrize("num_seeds", [1, 2])
def test_fewer_than_three_seeds_give_no_p_and_no_verdict(metrics: DetectorMetrics, num_seeds: int) -> None:
    made = make_study(metrics, num_seeds)
    for arm in ("drop1", "epsilon1"):
        one = made.compare_arm(arm, TableCell("VEHICLE", *MAIN))
        assert np.isnan([one.claim.low, one.claim.high, one.claim.p, one.over_both.p, one.detectable]).all()
        assert float(one.claim.mean) == pytest.approx(np.mean(one.by_seed))
    text = " ".join(find_sentences(made))
    assert "nothing is tested, and nothing is claimed" in text
    assert "which fewer than 3 seeds cannot judge" in text
    for verdict in ("Different from", "as expected", "NOT", "more than chance explains", "nan", "Smallest", "p ="):
        assert verdict not in text


def test_an_arm_with_two_seeds_is_in_no_planned_answer(metrics: DetectorMetrics) -> None:
    made = make_study(metrics, 3)
    del made.detector.runs["epsilon1"][2]
    sentences = find_sentences(made)
    assert "Not tested, with fewer than 3 seeds: epsilon1." in sentences
    assert "3 seeds of 2 arms" in sentences[0]
    assert find_one(sentences, "Different from focal (t test): drop1")  # with one arm there is nothing to correct for
    assert find_one(sentences, "Smallest true effects").count("difference (by a t test)")
    assert "Arms without all seeds, which are 1, are in no planned answer." in sentences[0]


def test_a_planned_contrast_is_answered_with_its_family(metrics: DetectorMetrics) -> None:
    made = make_study(metrics, 5)
    contrasts = (
        Contrast(name="harm", weights={"drop1": 1, "focal": -1}, expect="worse"),
        Contrast(name="nothing", weights={"epsilon1": 1, "focal": -1}),
    )
    made.detector = replace(made.detector, questions=Questions(contrasts=contrasts))
    sentences = find_sentences(made)
    harm = find_one(sentences, "Planned: harm (+1 x drop1 -1 x focal): -2")
    assert harm.endswith("Holm over 2 planned contrasts: an effect. It should be worse: as expected.")
    assert "no effect seen; one of 0." in find_one(sentences, "Planned: nothing")


def test_size_explains_the_arms_or_not(metrics: DetectorMetrics) -> None:
    """drop1 loses 20 points: with a quarter of the size that is a slope of 10 per doubling, and nothing is left."""
    made = make_study(metrics, 5)
    small, large = ArmSize(0.25, False), ArmSize(1.0, True)
    line = find_one(
        find_sentences(made, {"focal": ArmSize(1.0, False), "drop1": small, "epsilon1": large}), "Size curve"
    )
    assert "+10.0" in line or "+9.9" in line
    other = {"focal": ArmSize(1.0, False), "drop1": small, "epsilon1": ArmSize(0.25, True)}
    line = find_one(find_sentences(made, other), "Size curve")
    left = line.partition("what it leaves between arms: p = ")[2].split()[0]
    # A chance, no tolerance: arms of one size were made ten points apart.
    assert float(left) < 1e-6


def test_a_contrast_of_arms_of_other_sizes_says_what_that_is_worth(metrics: DetectorMetrics) -> None:
    """drop1 loses 20 points with a quarter of the size, which the curve through it explains; of like sizes nothing is
    said, nor where a size is not known."""
    made = make_study(metrics, 5)
    contrasts = (
        Contrast(name="harm", weights={"drop1": 1, "focal": -1}),
        Contrast(name="alike", weights={"epsilon1": 1, "focal": -1}),
    )
    made.detector = replace(made.detector, questions=Questions(contrasts=contrasts))
    sizes = {"focal": ArmSize(1.0, False), "drop1": ArmSize(0.25, False), "epsilon1": ArmSize(1.05, True)}
    sentences = find_sentences(made, sizes)
    said = (
        " On the baseline's predictions its arms differ in gradient size (drop1 0.25, focal 1.00), which by the size "
    )
    before, _, after = find_one(sentences, "Planned: harm").partition(said)
    assert before.endswith("an effect.")
    points = float(after.removeprefix("curve is worth ").removesuffix(" points."))
    assert points == pytest.approx(-20, abs=1.0)  # the curve goes through three arms, one of them 5 % beside
    assert "gradient size" not in find_one(sentences, "Planned: alike")
    assert "gradient size" not in find_one(find_sentences(made), "Planned: harm")


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
