"""COCO's metrics and the share of digits found, on detections worked out by hand."""

from __future__ import annotations

import math
import runpy
import sys
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("faster_coco_eval")
from pcdet_poly.errors import UserError
from pcdet_poly.experiments.image_detection import evaluate
from pcdet_poly.experiments.image_detection.draw import draw_detections
from pcdet_poly.experiments.image_detection.evaluate import FoundObjects, match_objects, score_detections
from pcdet_poly.experiments.image_detection.scenes import Scene, find_boxes


def build_scene(*squares: tuple[int, int, int, int]) -> Scene:
    """A black scene; each square is its digit, left, top and side."""
    masks = np.zeros((len(squares), 96, 96), bool)
    for mask, (_, left, top, side) in zip(masks, squares, strict=True):
        mask[top : top + side, left : left + side] = True
    labels = np.array([square[0] for square in squares])
    return Scene(np.zeros((96, 96, 3), np.uint8), labels, masks, find_boxes(masks))


def find_all(scene: Scene, score: float = 0.9) -> FoundObjects:
    return FoundObjects(scene.boxes.copy(), np.full(len(scene.labels), score), scene.labels.copy(), scene.masks.copy())


def test_all_found_is_a_hundred() -> None:
    scenes = [build_scene((3, 10, 10, 20), (7, 50, 50, 30)), build_scene((3, 0, 0, 25))]
    scores = score_detections(scenes, [find_all(scene) for scene in scenes])
    assert (scores.box_ap, scores.box_ar, scores.mask_ap, scores.mask_ar) == pytest.approx((100,) * 4)
    assert (scores.found, scores.mask_iou, scores.false_boxes) == (100, 100, 0)


def test_recall_is_a_mean_over_thresholds_and_classes() -> None:
    scenes = [build_scene((3, 10, 10, 20), (7, 50, 50, 20))]
    found = find_all(scenes[0])
    found.boxes[0, 2] += 10  # IoU 20/30, above .5, .55, .6 and .65 of ten thresholds: digit 3 has AP and AR 40
    wide = score_detections(scenes, [found])
    assert (wide.box_ar, wide.box_ap) == pytest.approx(((40 + 100) / 2,) * 2)
    assert wide.mask_ar == pytest.approx(100)
    assert wide.found == 100
    lost = score_detections(scenes, [replace(found, labels=np.array([4, 7]))])  # a wrong class
    assert lost.box_ar == pytest.approx(50)
    assert (lost.found, lost.false_boxes) == (50, 1)


def test_masks_are_compared_for_digits_found() -> None:
    scenes = [build_scene((3, 10, 10, 20), (7, 50, 50, 20))]
    found = find_all(scenes[0])
    found.masks[0, 10:20] = False  # the lower half is left
    scores = score_detections(scenes, [found])
    assert scores.mask_iou == pytest.approx((50 + 100) / 2)
    assert scores.mask_ar == pytest.approx((10 + 100) / 2)  # an IoU of .5 reaches one threshold of ten


def test_detections_without_masks_have_boxes_alone() -> None:
    scenes = [build_scene((3, 10, 10, 20))]
    scores = score_detections(scenes, [replace(find_all(scenes[0]), masks=None)])
    assert (scores.box_ap, scores.found) == (pytest.approx(100), 100)
    assert math.isnan(scores.mask_ap)
    assert math.isnan(scores.mask_ar)
    assert math.isnan(scores.mask_iou)


def test_nothing_found_is_zero() -> None:
    scenes = [build_scene((3, 10, 10, 20))]
    empty = FoundObjects(np.zeros((0, 4)), np.zeros(0), np.zeros(0, int), np.zeros((0, 96, 96), bool))
    scores = score_detections(scenes, [empty])
    assert (scores.box_ap, scores.box_ar, scores.mask_ap, scores.mask_ar, scores.found) == (0, 0, 0, 0, 0)
    assert math.isnan(scores.mask_iou)


@pytest.mark.parametrize(
    ("scores", "shift", "is_found", "num_wrong"),
    [
        ([0.9, 0.8], [0, 0], True, 1),  # a digit is found once
        ([0.9, 0.8], [15, 0], True, 1),  # the better one overlaps too little, the other finds it
        ([0.9, 0.4], [15, 0], False, 1),  # not sure enough
        ([0.5, 0.4], [0, 0], True, 0),
    ],
)
def test_a_digit_is_found_once_by_a_sure_detection(
    scores: list[float], shift: list[int], is_found: bool, num_wrong: int
) -> None:
    scene = build_scene((3, 10, 10, 20))
    boxes = np.repeat(scene.boxes, 2, 0) + np.array([[s, 0, s, 0] for s in shift])
    twice = FoundObjects(boxes, np.array(scores), np.array([3, 3]), np.repeat(scene.masks, 2, 0))
    overlaps, wrong = match_objects(scene, twice)
    assert (not np.isnan(overlaps[0]), wrong) == (is_found, num_wrong)


def test_a_missing_evaluator_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faster_coco_eval", None)  # as where it is not installed
    with pytest.raises(UserError, match=r"pip install 'pcdet_poly\[images\]'"):
        runpy.run_path(evaluate.__file__)


def test_detections_are_drawn_over_their_scenes() -> None:
    scenes = [build_scene((3, 10, 10, 20), (7, 50, 50, 20))] * 5
    figure = draw_detections(scenes, [find_all(scene) for scene in scenes[:4]] + [find_all(scenes[4], score=0.1)])
    assert len(figure.axes) == 8  # two rows of four
    assert [text.get_text() for text in figure.axes[0].texts] == ["3  0.90", "7  0.90"]
    assert len(figure.axes[4].texts) == 0  # not sure enough
