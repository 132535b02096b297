"""What became of boxes: by hand, and in sum what the evaluator counts, at every cut-off."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pcdet_poly.config.schema import Config
from pcdet_poly.engine.outcomes import judge_boxes
from pcdet_poly.evaluation import Evaluator, find_boxes_in_zones
from pcdet_poly.evaluation.kernels.outcome_counts import FN_2, FP, TP
from pcdet_poly.structures import Detections, GroundTruth
from pcdet_poly.visualization.viewer.outcomes import (
    FALSE,
    FOUND,
    HIDDEN,
    IGNORED,
    LEFT_OUT,
    MISSED,
    NOT_COUNTED,
    TRUE,
    list_cutoffs_from,
)
from tests.evaluation.random_sets import build_random_set

CLASSES = ("VEHICLE", "PEDESTRIAN", "SIGN", "CYCLIST")
ZONES = (np.array([[-30, -30], [10, -30], [10, 10], [-30, 10]], np.float32),)
CUTOFFS = list_cutoffs_from(0.2)


def make_config(**evaluation: Any) -> Config:
    return Config.model_validate({"data": {"classes": CLASSES}, "evaluation": evaluation})


def make_frames(seed: int) -> list[tuple[Detections, GroundTruth]]:
    """Frames with ties in overlap and score; a fifth of the labels have no point."""
    boxes = build_random_set(seed, grid=0.5, copies=10, scores=20)
    rng, frames = np.random.default_rng(seed), []
    for number in range(boxes.num_frames):
        found = boxes.predictions[boxes.predictions.frame == number]
        objects = boxes.objects[boxes.objects.frame == number]
        num = len(objects)
        truth = GroundTruth(
            objects.box,
            objects.type.astype(np.int64) - 1,
            objects.level.astype(np.int64),
            np.where(rng.random(num) < 0.2, 0, 9),
            np.array(["x"] * num),
            np.zeros((num, 2), np.float32),
        )
        frames.append((Detections(found.box, found.type.astype(np.int64) - 1, found.score), truth))
    return frames


def count_as_evaluated(frames: list[tuple[Detections, GroundTruth]], config: Config, box_type: str) -> np.ndarray:
    """True, false and missed of all frames at every cut-off, (3, C)."""
    metrics = config.evaluation.metrics.model_copy(
        update={"score_cutoffs": tuple(CUTOFFS.tolist()), "breakdowns": ("OBJECT_TYPE",)}
    )
    evaluator = Evaluator(metrics, class_names=CLASSES, within=config.evaluation.within)
    for found, truth in frames:
        evaluator.update([found], [truth], no_label_zone=[find_boxes_in_zones(found.box, ZONES)])
    return evaluator.sum_counts()[metrics.box_types.index(box_type)][:, (TP, FP, FN_2)].sum(0)


@pytest.mark.parametrize("matcher", ["hungarian", "score_first"])
@pytest.mark.parametrize(
    ("box_type", "within", "accuracy"),
    [
        ("3D", None, -1.0),
        ("BEV", None, -1.0),
        ("3D", (-25.0, -25.0, 30.0, 30.0), -1.0),
        ("BEV", (-25.0, -25.0, 30.0, 30.0), 0.5),
        ("3D", None, 0.5),
    ],
)
def test_outcomes_are_what_the_evaluator_counts(matcher: str, box_type: str, within: Any, accuracy: float) -> None:
    """At LEVEL_2, where every label counts that counts at all; own thresholds, so that Waymo's would fail."""
    metrics = {
        "matcher": matcher,
        "iou_thresholds": (0.4, 0.3, 0.2, 0.25),
        "min_heading_accuracy": accuracy,
    }
    config = make_config(within=within, metrics=metrics)
    frames = [frame for seed in range(3) for frame in make_frames(seed)]
    counted = count_as_evaluated(frames, config, box_type)
    judged = np.zeros_like(counted)
    ignored = left_out = 0
    for found, truth in frames:
        outcomes = judge_boxes(found, truth, config, cutoffs=CUTOFFS, zones=ZONES, box_type=box_type)
        for k in range(len(CUTOFFS)):
            detections, labels = outcomes.judge_detections(k), outcomes.judge_labels(k)
            assert ((detections == HIDDEN) == (found.score < CUTOFFS[k])).all()
            assert (detections == TRUE).sum() == (labels == FOUND).sum()
            judged[:, k] += (detections == TRUE).sum(), (detections == FALSE).sum(), (labels == MISSED).sum()
            ignored += (detections == IGNORED).sum()
            left_out += (outcomes.partner[k] <= LEFT_OUT).sum()
    np.testing.assert_array_equal(judged, counted)
    assert counted[:, 0].min() > 10
    assert ignored > 10
    assert (left_out > 10) == (accuracy > 0)


def test_outcomes_by_hand() -> None:
    """A car is found; one is missed, one too, in a zone, as its detection lies far off; one has no point."""
    car = np.array([0, 0, 0, 4, 2, 2, 0], np.float32)
    place = np.array([[0, 0], [20, 0], [-20, -20], [0, 30]], np.float32)
    box = np.tile(car, (4, 1))
    box[:, :2] = place
    truth = GroundTruth(
        box,
        np.zeros(4, np.int64),
        np.ones(4, np.int64),
        np.array([5, 5, 5, 0]),
        np.array(list("abcd")),
        np.zeros((4, 2)),
    )
    found = Detections(box[[0, 0, 2, 3]], np.zeros(4, np.int64), np.array([0.9, 0.5, 0.4, 0.6], np.float32))
    found = replace(
        found, box=found.box + np.array([[0], [0.1], [9], [0]], np.float32) * np.eye(7, dtype=np.float32)[0]
    )
    backwards = replace(found, box=found.box + np.float32([0, 0, 0, 0, 0, 0, np.pi]))
    strict = make_config(metrics={"min_heading_accuracy": 0.5})
    left_out = judge_boxes(backwards, truth, strict, cutoffs=np.array([0.3], np.float32), zones=ZONES)
    assert left_out.judge_detections(0).tolist() == [IGNORED, IGNORED, IGNORED, FALSE]
    assert left_out.judge_labels(0).tolist() == [NOT_COUNTED, MISSED, MISSED, NOT_COUNTED]
    assert left_out.list_changes() == [[0, 0, LEFT_OUT - 0]]
    outcomes = judge_boxes(found, truth, make_config(), cutoffs=np.array([0.3, 0.55], np.float32), zones=ZONES)
    assert outcomes.judge_detections(0).tolist() == [TRUE, IGNORED, IGNORED, FALSE]
    assert outcomes.judge_labels(0).tolist() == [FOUND, MISSED, MISSED, NOT_COUNTED]
    assert outcomes.judge_detections(1).tolist() == [TRUE, HIDDEN, HIDDEN, FALSE]
    nothing = judge_boxes(Detections.empty(), GroundTruth.empty(), make_config(), cutoffs=CUTOFFS)
    assert (nothing.partner.shape, nothing.judge_labels(0).shape) == ((len(CUTOFFS), 0), (0,))


@pytest.mark.parametrize(("least", "count"), [(0.3, 71), (0.0, 101), (1.0, 1), (0.123, 88)])
def test_cutoffs_are_hundredths_apart_up_to_one(least: float, count: int) -> None:
    cutoffs = list_cutoffs_from(least)
    assert (len(cutoffs), cutoffs.dtype) == (count, np.float32)
    np.testing.assert_array_equal(cutoffs, np.array([least + 0.01 * k for k in range(count)], np.float32))
    assert cutoffs[-1] <= np.float32(1)
