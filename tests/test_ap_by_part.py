"""The benchmark of which part of its boxes costs a run its AP: the label that a box belongs to, what is replaced."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmarks.ap_by_part import match_detections, replace_parts
from pcdet_poly.structures import Detections, GroundTruth

TRUTH = GroundTruth(
    box=np.array([[0, 0, 1, 4, 2, 1.5, 0], [10, 0, 1, 4, 2, 1.5, 0], [20, 0, 1, 4, 2, 1.5, 0]], np.float32),
    label=np.array([0, 0, 1]),
    level=np.ones(3, np.int64),
    num_points=np.full(3, 9),
    track=np.array(["a", "b", "c"]),
    speed=np.zeros((3, 2), np.float32),
)
FOUND = Detections(
    box=np.array(
        [[9, 0, 5, 4, 2, 2, 0], [1, 0, 5, 4, 2, 2, 0], [20, 0, 5, 4, 2, 2, 0], [0, 9, 5, 4, 2, 2, 0]], np.float32
    ),
    label=np.array([0, 0, 0, 0]),
    score=np.array([0.9, 0.8, 0.7, 0.6], np.float32),
)


def test_a_box_belongs_to_the_label_of_its_class_that_it_overlaps_most_from_above() -> None:
    row, overlap = match_detections(FOUND, TRUTH)
    assert row.tolist() == [1, 0, -1, -1]  # the third overlaps a label of another class, the fourth none
    np.testing.assert_allclose(overlap, [0.6, 0.6, 0, 0], atol=1e-6)  # 3 of 5 metres: three divisions in float32
    nothing = replace(FOUND, box=FOUND.box[:0], label=FOUND.label[:0], score=FOUND.score[:0])
    assert len(match_detections(nothing, TRUTH)[0]) == 0


def test_only_the_named_parts_of_boxes_with_a_label_are_replaced() -> None:
    mended = replace_parts(FOUND, TRUTH, match_detections(FOUND, TRUTH), [2, 5])
    expected = FOUND.box.copy()
    expected[:2, [2, 5]] = [1, 1.5]
    np.testing.assert_array_equal(mended.box, expected)
    np.testing.assert_array_equal(mended.score, FOUND.score)
    assert FOUND.box[0, 2] == 5
