"""The report's numbers against other ways to get them."""

from __future__ import annotations

import json
from copy import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from pcdet_poly.evaluation import evaluate, in_zones
from pcdet_poly.experiments.report.detector_report import Result, Sizes, result_of
from pcdet_poly.experiments.report.epsilon_choice import choose_on_halves, epsilon_arms
from pcdet_poly.experiments.report.finished_sweep import Model, Study
from pcdet_poly.experiments.report.formats.page_data import settings_of
from pcdet_poly.experiments.report.labels import pieces
from pcdet_poly.experiments.report.loss_behaviour import behaviour_of
from pcdet_poly.experiments.report.metrics import MEAN, Corrected, Difference, Numbers, corrected
from pcdet_poly.experiments.report.precision_recall import PrCurve, pr_curve
from pcdet_poly.experiments.report.shown_frames import FALSE, TRUE, matched, scenes
from pcdet_poly.experiments.statistics import Estimate, over_seeds
from pcdet_poly.ops.iou import iou_3d
from pcdet_poly.structures import Detections, GroundTruth

MAIN = ("3D", 2, "aph")


@pytest.fixture(scope="module")
def result(model: Model) -> Result:
    return result_of(model, Sizes(resamples=10, histogram_frames=4, scene_frames=2, scene_points=100))


def test_all_runs_of_a_whole_study_count(study: Study, model: Model) -> None:
    assert study.excluded == ()
    assert {arm: list(runs) for arm, runs in model.runs.items()} == {
        "focal": [0, 1], "drop1": [0, 1], "epsilon1": [0, 1],
    }  # fmt: skip


def test_values_are_those_of_metrics_json(model: Model, numbers: Numbers) -> None:
    for arm, runs in model.runs.items():
        written = [json.loads((r.run.folder / "metrics.json").read_text()) for r in runs.values()]
        for name, part, level, metric in numbers.cells("VEHICLE", "PEDESTRIAN"):
            expected = [100 * table[part][f"OBJECT_TYPE_TYPE_{name}_LEVEL_{level}"][metric] for table in written]
            assert numbers.values(arm, (name, part, level, metric)) == pytest.approx(expected, abs=1e-4)
    classes = [numbers.values("focal", (kind, *MAIN)) for kind in model.config.data.classes]
    assert numbers.values("focal", (MEAN, *MAIN)) == pytest.approx(np.mean(classes, axis=0))
    near = numbers.values("focal", ("RANGE_TYPE_VEHICLE_[0, 30)", *MAIN))
    assert near == pytest.approx(numbers.values("focal", ("VEHICLE", *MAIN)))  # nothing is farther away here


def test_a_draw_is_an_evaluation_of_the_frames_it_draws(model: Model, numbers: Numbers) -> None:
    trained = model.runs["epsilon1"][1]
    draw = np.array([[2.0, 0.0, 1.0, 1.0]])
    frames = [i for s, n in zip(numbers.segments, draw[0], strict=True) for _ in range(int(n))
              for i, name in enumerate(model.labels.segments) if name == s]  # fmt: skip
    found = [trained.detections.detections[i] for i in frames]
    table = evaluate(
        found,
        [model.labels.ground_truth[i] for i in frames],
        model.config.evaluation.metrics,
        class_names=model.config.data.classes,
        no_label_zone=[in_zones(f.box, model.labels.zones[i]) for f, i in zip(found, frames, strict=True)],
    )
    ours = numbers.on(trained, draw)[0]
    for kind in model.config.data.classes:
        expected = 100 * table["3D"][f"OBJECT_TYPE_TYPE_{kind}_LEVEL_2"]["aph"]
        assert numbers.column(ours, (kind, *MAIN)) == pytest.approx(expected, abs=1e-4)


def test_differences_are_paired_by_seed(numbers: Numbers) -> None:
    cell = ("VEHICLE", *MAIN)
    one = numbers.difference("drop1", cell)
    expected = numbers.values("drop1", cell) - numbers.values("focal", cell)
    assert one.by_seed == pytest.approx(expected)
    by_t = over_seeds(expected)
    assert (one.over_seeds.low, one.over_seeds.p) == pytest.approx((by_t.low, by_t.p))
    assert one.over_segments.low < one.over_segments.mean < one.over_segments.high


def test_epsilon_is_chosen_on_one_half_and_reported_on_the_other(model: Model, numbers: Numbers) -> None:
    assert epsilon_arms(model) == {"focal": 0.0, "epsilon1": 1.0}
    choices = choose_on_halves(numbers, resamples=50)
    assert len(choices) == 2
    halves = np.array([[1.0, 0, 1, 0], [0, 1.0, 0, 1]])
    scores = {
        arm: np.mean([numbers.column(numbers.on(r, halves), (MEAN, *MAIN)) for r in model.runs[arm].values()], axis=0)
        for arm in ("focal", "epsilon1")
    }
    gain = scores["epsilon1"] - scores["focal"]
    for choice, on, off in zip(choices, gain, gain[::-1], strict=True):
        if on > 0:
            assert (choice.arm, choice.epsilon) == ("epsilon1", 1.0)
            assert choice.seen == pytest.approx(on)
            assert choice.unseen is not None
            assert float(choice.unseen.mean) == pytest.approx(off)
        else:
            assert (choice.arm, choice.seen, choice.unseen) == ("focal", 0.0, None)


def _difference(arm: str, kind: str, p: float) -> Difference:
    e = Estimate(*(np.array(v) for v in (1.0, 0.0, 2.0, p)))
    return Difference(arm, (kind, *MAIN), (0, 1), (1.0, 1.0), e, e, e, 1.0)


def test_correction_is_over_classes_and_over_everything() -> None:
    found = [
        _difference("a", "VEHICLE", 0.01),
        _difference("a", "PEDESTRIAN", 0.04),
        _difference("a", MEAN, 0.001),
        _difference("b", "VEHICLE", 0.02),
        _difference("b", "PEDESTRIAN", 0.5),
    ]
    p = corrected(found)
    assert p["a", "VEHICLE"] == Corrected(0.02, 0.04)
    assert p["a", "PEDESTRIAN"].over_classes == 0.04
    assert p["b", "VEHICLE"].over_everything == pytest.approx(0.06)
    assert ("a", MEAN) not in p


def test_pieces_are_equal_runs_of_a_segments_frames() -> None:
    assert pieces(["a", "a", "b", "a", "a", "b"], 2) == ("a#000", "a#000", "b#000", "a#001", "a#001", "b#001")
    assert pieces(["a", "b"], 1) == ("a", "b")


def test_best_score_is_where_f1_is_best() -> None:
    curve = PrCurve(np.array([0.2, 0.5, 0.6]), np.array([1.0, 0.8, 0.4]), np.array([0.9, 0.5, 0.1]))
    assert curve.best_score() == 0.5
    assert PrCurve(np.zeros(0), np.zeros(0), np.zeros(0)).best_score() == 1.0


def test_curves_add_the_seeds_counts(model: Model) -> None:
    curve = pr_curve(model, "focal", "VEHICLE", "3D", 2)
    assert (np.diff(curve.recall) >= 0).all()
    found = [d for r in model.runs["focal"].values() for d in r.detections.detections]
    counted = sum(int(((d.label == 0) & (d.score >= curve.cutoff[-1])).sum()) for d in found)
    objects = 2 * sum(int((t.label == 0).sum()) for t in model.labels.ground_truth)
    right = curve.recall[-1] * objects
    assert right / counted == pytest.approx(curve.precision[-1], rel=1e-4)


def _greedy(found: Detections, labels: GroundTruth, least: float) -> tuple[list[bool], list[bool]]:
    """Pair by pair, as one would by hand."""
    right, taken = [False] * len(found), [False] * len(labels)
    for i in sorted(range(len(found)), key=lambda i: -found.score[i]):
        best, best_iou = -1, least
        for j in range(len(labels)):
            iou = float(iou_3d(torch.tensor(found.box[i : i + 1]), torch.tensor(labels.box[j : j + 1]))[0, 0])
            if not taken[j] and labels.label[j] == found.label[i] and iou >= best_iou:
                best, best_iou = j, iou + 1e-12
        if best >= 0:
            right[i] = taken[best] = True
    return right, taken


@pytest.mark.parametrize("seed", range(5))
def test_matching_against_a_loop(seed: int) -> None:
    rng = np.random.default_rng(seed)

    def boxes(num: int) -> np.ndarray:
        return np.column_stack([rng.uniform(-3, 3, (num, 2)), np.zeros(num), np.tile([4, 2, 1.5, 0.3], (num, 1))])

    found = Detections(boxes(8).astype(np.float32), rng.integers(0, 2, 8), rng.permutation(8).astype(np.float32) / 8)
    truth = GroundTruth.empty()
    ones, tracks = np.ones(6), np.array(["x"] * 6)
    labels = GroundTruth(boxes(6).astype(np.float32), rng.integers(0, 2, 6), ones, ones, tracks, np.zeros((6, 2)))
    right, taken = matched(found, labels, [0.2, 0.2])
    assert (right.tolist(), taken.tolist()) == _greedy(found, labels, 0.2)
    assert right.any()
    assert not matched(found, truth, [0.2, 0.2])[0].any()


def test_scenes_show_every_arm_the_same_frame(model: Model, numbers: Numbers) -> None:
    first, second = scenes(numbers, num_frames=2, num_points=50)
    assert first.frame_id != second.frame_id
    assert first.points.shape == (50, 3)
    assert list(first.arms) == ["focal", "drop1", "epsilon1"]
    for seen in first.arms.values():
        assert seen.seed == 0
        assert int((seen.outcome == TRUE).sum()) == int(seen.found.sum())
        assert set(seen.outcome.tolist()) <= {TRUE, FALSE}  # there are no no-label zones
    assert scenes(numbers, num_frames=0, num_points=50) == []


def test_what_the_loss_did_is_in_the_logs(model: Model) -> None:
    behaviour = behaviour_of(model, "epsilon1")
    logs = [[line for line in r.run.read_log() if line["event"] == "step"] for r in model.runs["epsilon1"].values()]
    steps, values = behaviour.curves["loss/heatmap"]
    assert steps == [line["step"] for line in logs[0]] == [2, 4, 6, 8, 10, 12, 14, 16]
    assert values[3] == pytest.approx(np.mean([log[3]["loss/heatmap"] for log in logs]))
    last = np.mean([[line["loss/heatmap"] for line in log[-2:]] for log in logs])  # steps after 12.8
    assert behaviour.at_end["loss/heatmap"] == pytest.approx(last)
    assert 0 <= behaviour.calibration_error <= 1


def test_arms_say_what_they_change(model: Model) -> None:
    assert settings_of(model, "focal") == ""
    assert settings_of(model, "drop1") == "classification.num_terms = 1"
    assert settings_of(model, "epsilon1") == "classification.epsilon = 1.0"


def test_histograms_count_every_cell(result: Result) -> None:
    assert [one.arm for one in result.histograms] == ["focal", "drop1", "epsilon1"]
    for one in result.histograms:
        assert sum(one.peaks) + sum(one.background) == 4 * 3 * 32 * 32


def test_controls_are_judged(result: Result) -> None:
    (line,) = [line for line in result.findings if line.startswith("Control drop1 should be worse")]
    one = next(d for d in result.main_differences() if d.arm == "drop1" and d.cell[0] == MEAN)
    assert ("NOT seen" in line) == (not one.claim.high < 0)


def test_the_mean_over_one_class_is_not_shown_twice(numbers: Numbers) -> None:
    assert numbers.shown == (*numbers.model.config.data.classes, MEAN)
    config = numbers.model.config
    one_class = config.model_copy(update={"data": config.data.model_copy(update={"classes": ("VEHICLE",)})})
    alone = copy(numbers)
    alone.model = SimpleNamespace(config=one_class)  # type: ignore[assignment]
    assert {cell[0] for cell in alone.cells()} == {"VEHICLE"}
