"""`evaluate` and `Evaluator` as a training loop uses them."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

from pcdet_poly.config.sections.evaluation import MetricsConfig
from pcdet_poly.errors import UserError
from pcdet_poly.evaluation import Evaluator, evaluate
from pcdet_poly.structures import Detections, GroundTruth
from tests.tolerances import SIX_DIGITS

CLASSES = ("CYCLIST", "VEHICLE")
CAR = [10.0, 5.0, 0.0, 4.5, 2.0, 1.6, 0.3]
BIKE = [-10.0, 5.0, 0.0, 1.8, 0.8, 1.7, 1.0]
VEHICLE_1, CYCLIST_2 = "OBJECT_TYPE_TYPE_VEHICLE_LEVEL_1", "OBJECT_TYPE_TYPE_CYCLIST_LEVEL_2"


def labels(box: list[list[float]], label: list[int], **columns: object) -> GroundTruth:
    num = len(box)
    values = {
        "level": np.zeros(num, np.int64),
        "num_points": np.full(num, 20),
        "track": np.array(["t"] * num, "<U1"),
        "speed": np.full((num, 2), np.nan, np.float32),
    } | {name: np.asarray(column) for name, column in columns.items()}
    return GroundTruth(box=np.array(box, np.float32).reshape(-1, 7), label=np.array(label, np.int64), **values)


def found(box: list[list[float]], label: list[int], score: list[float] | None = None) -> Detections:
    return Detections(
        box=np.array(box, np.float32).reshape(-1, 7),
        label=np.array(label, np.int64),
        score=np.array(score if score is not None else [0.9] * len(box), np.float32),
    )


def test_labels_point_into_the_given_classes() -> None:
    table = evaluate([found([CAR], [1])], [labels([CAR, BIKE], [1, 0])], class_names=CLASSES)
    assert table["3D"][VEHICLE_1]["ap"] == pytest.approx(1)
    assert table["3D"][CYCLIST_2]["ap"] == 0
    wrong = evaluate([found([CAR], [0])], [labels([CAR, BIKE], [1, 0])], class_names=CLASSES)
    assert wrong["3D"][VEHICLE_1]["ap"] == 0


def test_tensors_are_taken_as_well() -> None:
    arrays = found([CAR], [1]), labels([CAR], [1])
    tensors = [rows.to("cpu") for rows in arrays]
    assert isinstance(tensors[0].box, torch.Tensor)
    expected = evaluate([arrays[0]], [arrays[1]], class_names=CLASSES).entries
    assert evaluate([tensors[0]], [tensors[1]], class_names=CLASSES).entries == expected


def test_objects_without_points_do_not_count_and_few_points_are_level_2() -> None:
    truth = labels([CAR, BIKE], [1, 0], num_points=[0, 5])
    evaluator = Evaluator(class_names=CLASSES)
    evaluator.update([Detections.empty()], [truth])
    assert evaluator.compute().meta.ground_truths == 1
    misses = evaluator.sum_counts()[0, [0, 3]][:, [2, 3], 0]  # vehicle, cyclist; LEVEL_1, LEVEL_2
    assert misses.tolist() == [[0, 0], [0, 1]]


def test_an_annotated_level_wins() -> None:
    evaluator = Evaluator(class_names=CLASSES)
    evaluator.update([Detections.empty()], [labels([CAR, BIKE], [1, 0], level=[2, 1], num_points=[500, 1])])
    assert evaluator.sum_counts()[0, [0, 3]][:, [2, 3], 0].tolist() == [[0, 1], [1, 1]]


def test_heading_off_by_a_quarter_turn_halves_aph() -> None:
    square = [0, 0, 0, 2.0, 2.0, 2.0, 0.0]
    turned = [*square[:6], np.pi / 2]
    row = evaluate([found([turned], [1])], [labels([square], [1])], class_names=CLASSES)["3D"][VEHICLE_1]
    assert row == pytest.approx({"ap": 1, "aph": 0.5}, abs=SIX_DIGITS)


def test_unmatched_detections_in_no_label_zones_are_ignored() -> None:
    both = [found([CAR, BIKE], [1, 1], [0.5, 0.9])], [labels([CAR], [1])]
    plain = evaluate(*both, class_names=CLASSES)
    zones = evaluate(*both, class_names=CLASSES, no_label_zone=[np.array([True, True])])
    assert plain["3D"][VEHICLE_1]["ap"] == pytest.approx(0.5)
    assert zones["3D"][VEHICLE_1]["ap"] == pytest.approx(1)


def test_within_leaves_boxes_out_on_both_sides_and_says_so() -> None:
    far = [60.0, *CAR[1:]]
    table = evaluate(
        [found([CAR, BIKE], [1, 1])], [labels([CAR, far], [1, 1])], class_names=CLASSES, within=(0, -20, 50, 20)
    )
    assert table["3D"][VEHICLE_1]["ap"] == pytest.approx(1)
    assert table.meta.within == (0, -20, 50, 20)
    assert (table.meta.predictions, table.meta.ground_truths) == (1, 1)


def test_updates_add_up() -> None:
    frames = [(found([CAR], [1]), labels([CAR], [1])), (found([BIKE], [0]), labels([CAR, BIKE], [1, 0]))]
    evaluator = Evaluator(class_names=CLASSES)
    for rows, truth in frames:
        evaluator.update([rows], [truth])
    together = evaluate(*zip(*frames, strict=True), class_names=CLASSES)
    assert evaluator.compute().entries == together.entries
    assert evaluator.compute().meta.frames == 2


def test_memory_grows_with_segments_not_frames() -> None:
    evaluator = Evaluator(class_names=CLASSES)
    for segment in ("a", "b", "a", "a"):
        evaluator.update([found([CAR], [1])], [labels([CAR], [1])], segments=[segment])
    assert sorted(evaluator.increments) == ["a", "b"]
    assert evaluator.increments["a"].shape == evaluator.increments["b"].shape


def test_an_evaluator_travels_between_processes() -> None:
    evaluator = Evaluator(class_names=CLASSES)
    evaluator.update([found([CAR], [1])], [labels([CAR], [1])])
    other = pickle.loads(pickle.dumps(evaluator))
    other.merge(evaluator)
    assert other.compute().meta.frames == 2
    assert other.compute().entries == evaluator.compute().entries


def test_results_leave_the_evaluator_as_it_was() -> None:
    evaluator = Evaluator(class_names=CLASSES)
    evaluator.update([found([CAR], [1])], [labels([CAR], [1])])
    before = copy.deepcopy(evaluator.increments)
    evaluator.compute()
    evaluator.merge(Evaluator(class_names=CLASSES))
    assert before.keys() == evaluator.increments.keys()
    assert all((before[name] == evaluator.increments[name]).all() for name in before)


@pytest.mark.parametrize(
    ("detections", "truth"),
    [([], []), ([Detections.empty()], [GroundTruth.empty()]), ([found([CAR], [1])], [GroundTruth.empty()])],
)
def test_nothing_to_find_gives_0(detections: list[Detections], truth: list[GroundTruth]) -> None:
    table = evaluate(detections, truth, class_names=CLASSES)
    assert {value for _, _, _, value in table.iterate_rows()} == {0.0}
    assert len(table["BEV"]) == 32


def test_an_absent_class_gives_0() -> None:
    table = evaluate([found([CAR], [1])], [labels([CAR], [1])], class_names=("CYCLIST", "VEHICLE"))
    assert table["3D"]["OBJECT_TYPE_TYPE_PEDESTRIAN_LEVEL_1"] == {"ap": 0, "aph": 0}


def test_negative_sizes_match_nothing() -> None:
    flipped = [*CAR[:3], -4.5, *CAR[4:]]
    table = evaluate([found([flipped], [1])], [labels([CAR], [1])], class_names=CLASSES)
    assert table["BEV"][VEHICLE_1]["ap"] == 0


@pytest.mark.parametrize("column", range(7))
def test_a_nan_names_the_frame_and_the_box(column: int) -> None:
    bad = [CAR, list(BIKE)]
    bad[1][column] = np.nan
    with pytest.raises(UserError, match=r"detections of frame 1: box 1 is \(.*nan.*\)"):
        evaluate([found([], []), found(bad, [0, 0])], [GroundTruth.empty()] * 2, class_names=CLASSES)
    with pytest.raises(UserError, match=r"ground truth of frame 0: box 1 is \(.*nan.*\)"):
        evaluate([found([], [])], [labels(bad, [0, 0])], class_names=CLASSES)


def test_an_infinite_heading_is_an_error_an_infinite_place_is_far_away() -> None:
    with pytest.raises(UserError, match="box 0 is"):
        evaluate([found([[*CAR[:6], np.inf]], [1])], [GroundTruth.empty()], class_names=CLASSES)
    away = [np.inf, *CAR[1:]]
    table = evaluate([found([CAR, away], [1, 1])], [labels([CAR], [1])], class_names=CLASSES)
    assert table["3D"][VEHICLE_1]["ap"] == pytest.approx(0.5)


def test_mistakes_are_named() -> None:
    one = [found([CAR], [1])]
    with pytest.raises(UserError, match="1 frames of detections but 2 of ground truths"):
        evaluate(one, [GroundTruth.empty()] * 2, class_names=CLASSES)
    with pytest.raises(UserError, match="but 0 of segments"):
        Evaluator(class_names=CLASSES).update(one, [GroundTruth.empty()], segments=[])
    with pytest.raises(UserError, match=r"class 'Car'.*VEHICLE"):
        evaluate(one, [GroundTruth.empty()], class_names=("Car",))
    with pytest.raises(UserError, match="box 0 has label 1 of 1 classes"):
        evaluate(one, [GroundTruth.empty()], class_names=("VEHICLE",))
    with pytest.raises(UserError, match="different settings"):
        Evaluator().merge(Evaluator(MetricsConfig(levels=(1,))))
    with pytest.raises(UserError, match="estimated from all scores"):
        Evaluator(MetricsConfig(score_cutoffs=11))


def test_thresholds_are_settings() -> None:
    near = replace(found([CAR], [1]), box=np.array([[CAR[0] + 0.9, *CAR[1:]]], np.float32))
    for threshold, ap in ((0.7, 0), (0.5, 1)):
        cfg = MetricsConfig(iou_thresholds=(threshold, 0.5, 0.5, 0.5))
        table = evaluate([near], [labels([CAR], [1])], cfg, class_names=CLASSES)
        assert table["3D"][VEHICLE_1]["ap"] == pytest.approx(ap)
