"""The parts of the matcher against plain references."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from pcdet_poly.config.sections.evaluation import MetricsConfig
from pcdet_poly.evaluation.cutoffs import estimate_cutoffs, find_highest_cutoff, list_cutoffs
from pcdet_poly.evaluation.evaluator import Evaluator
from pcdet_poly.evaluation.kernels.average_precision import (
    RECALL,
    average_precision,
    precision_recall_curve,
    sort_descending,
)
from pcdet_poly.evaluation.kernels.dense_assignment import assign_densely
from pcdet_poly.evaluation.kernels.introsort import sort_by_introsort
from pcdet_poly.evaluation.kernels.outcome_counts import FIXED_POINT, FN_1, FN_2, FP, HEADING, NUM_COUNTS, TP
from pcdet_poly.evaluation.kernels.overlap import (
    BOX_3D,
    BOX_AA_2D,
    BOX_BEV,
    find_overlapping_pairs,
    prepare_boxes,
    wrap_heading,
)
from tests.evaluation import naive
from tests.evaluation.random_sets import build_random_set
from tests.tolerances import FLOAT32_BELOW_16, FLOAT32_SUM, FLOAT64_SUM, SIX_DIGITS

ASSETS = Path(__file__).resolve().parent.parent / "assets" / "metrics"
EVERYTHING = np.zeros(5, np.float32)


def iou_of(a: np.ndarray, b: np.ndarray, box_type: int) -> float:
    kind = np.ones(1, np.uint8)
    pairs = find_overlapping_pairs(prepare_boxes(a[None], kind), prepare_boxes(b[None], kind), box_type, EVERYTHING)
    return float(pairs["iou"][0]) if len(pairs) else 0.0


def test_iou_equals_the_official_one() -> None:
    """2,500 pairs, most of them with coincident edges, against the official float32 values.

    The official polygon routine says 1 for four of them, boxes nested in longer ones with shared edges, where
    0.24 to 0.87 is right; ours gives the right value.
    """
    pairs = np.load(ASSETS / "iou_pairs.npz")
    a, b = pairs["a_bottomz"].copy(), pairs["b_bottomz"].copy()
    a[:, 2] += a[:, 5] / 2
    b[:, 2] += b[:, 5] / 2
    ours = np.array([[iou_of(x, y, kind) for kind in (BOX_BEV, BOX_3D)] for x, y in zip(a, b, strict=True)])
    official = np.stack([pairs["iou_2d"], pairs["iou_3d"]], axis=1)
    off = np.abs(ours - official) > 1e-6
    assert set(pairs["kind"][off.any(axis=1)]) <= {"nested_shared_edges"}
    assert off[:, 0].sum() == 4
    assert (official[off] == 1).all()


@pytest.mark.parametrize("seed", range(20))
def test_iou_equals_shapely_s(seed: int) -> None:
    boxes = build_random_set(seed, frames=1)
    for a, b in zip(boxes.predictions.box[:10], boxes.objects.box[:10], strict=False):
        assert iou_of(a, b, BOX_BEV) == pytest.approx(naive.compute_iou(a, b, with_height=False), abs=FLOAT32_BELOW_16)
        assert iou_of(a, b, BOX_3D) == pytest.approx(naive.compute_iou(a, b, with_height=True), abs=FLOAT32_BELOW_16)
        flat = np.array([[*a[:6], 0], [*b[:6], 0]], np.float32)
        assert iou_of(a, b, BOX_AA_2D) == pytest.approx(
            naive.compute_iou(*flat, with_height=False), abs=FLOAT32_BELOW_16
        )


@pytest.mark.parametrize(
    ("column", "value", "box_type"),
    [
        (3, 0.01, BOX_BEV),
        (4, 0.0, BOX_BEV),
        (4, -2.0, BOX_3D),
        (5, 0.01, BOX_3D),
        (3, 1e6, BOX_BEV),
        (5, np.inf, BOX_BEV),
    ],
)
def test_boxes_waymo_lets_overlap_nothing(column: int, value: float, box_type: int) -> None:
    box = np.array([1, 2, 0, 4, 2, 1.5, 0.3], np.float32)
    assert iou_of(box, box, box_type) == 1
    odd = box.copy()
    odd[column] = value
    assert iou_of(box, odd, box_type) == iou_of(odd, box, box_type) == 0


def test_a_flat_box_overlaps_in_bird_s_eye_view_only() -> None:
    box = np.array([1, 2, 0, 4, 2, 0.005, 0.3], np.float32)
    assert iou_of(box, box, BOX_BEV) == 1
    assert iou_of(box, box, BOX_3D) == 0


def test_different_and_unknown_types_do_not_overlap() -> None:
    box = np.array([[1, 2, 0, 4, 2, 1.5, 0.3]], np.float32)
    for a, b in ((1, 2), (0, 0), (0, 1)):
        first, second = prepare_boxes(box, np.array([a], np.uint8)), prepare_boxes(box, np.array([b], np.uint8))
        assert len(find_overlapping_pairs(first, second, BOX_BEV, EVERYTHING)) == 0


def test_many_pairs_fit() -> None:
    box = np.repeat(np.array([[1, 2, 0, 4, 2, 1.5, 0.3]], np.float32), 40, axis=0)
    rows = prepare_boxes(box, np.ones(40, np.uint8))
    pairs = find_overlapping_pairs(rows, rows, BOX_3D, EVERYTHING)
    assert [tuple(pair) for pair in pairs[["prediction", "object"]].tolist()] == list(
        itertools.product(range(40), repeat=2)
    )


@pytest.mark.parametrize("turns", [-3, -1, 0, 1, 2, 50])
def test_headings_are_wrapped(turns: int) -> None:
    for heading in np.linspace(-np.pi, np.pi, 9)[:-1]:
        assert wrap_heading(heading + 2 * np.pi * turns) == pytest.approx(heading, abs=FLOAT64_SUM)
    assert -np.pi <= wrap_heading(np.pi * (1 + 2 * turns)) < np.pi


@pytest.mark.parametrize("seed", range(30))
def test_dense_assignment_is_a_best_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    size = int(rng.integers(1, 9))
    weight = rng.integers(0, 4 if seed % 2 else 1000, (size, size)) * (rng.random((size, size)) < 0.5)
    columns = assign_densely(weight.astype(np.int64))
    assert sorted(columns) == list(range(size))
    rows, best = linear_sum_assignment(weight, maximize=True)
    assert weight[np.arange(size), columns].sum() == weight[rows, best].sum()


@pytest.mark.parametrize("with_height", [True, False])
@pytest.mark.parametrize("seed", range(6))
def test_counts_equal_a_fresh_assignment_at_every_cutoff(seed: int, with_height: bool) -> None:
    boxes = build_random_set(seed, frames=2, objects=30)
    evaluator = Evaluator(MetricsConfig(breakdowns=("OBJECT_TYPE",), box_types=("3D",) if with_height else ("BEV",)))
    evaluator.add(boxes)
    for kind, ours in zip(range(1, 5), evaluator.sum_counts()[0], strict=True):
        expected = naive.count_naively(boxes, kind, with_height=with_height)
        for name, column in (("tp", TP), ("fp", FP), ("fn_1", FN_1), ("fn_2", FN_2)):
            np.testing.assert_array_equal(ours[column], expected[name], err_msg=f"type {kind} {name}")
        np.testing.assert_allclose(ours[HEADING] / FIXED_POINT, expected["heading"], atol=FLOAT32_SUM)


@pytest.mark.parametrize("seed", range(50))
def test_average_precision_equals_the_plain_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    num = int(rng.integers(1, 30))
    recall = rng.choice(rng.random(num) ** 2, num).astype(np.float32)
    precision = rng.random(num).astype(np.float32)
    delta = float(rng.choice([0.05, 0.1, 0.3, 1.0]))
    assert average_precision(precision, recall, delta) == pytest.approx(
        naive.average_precision(precision, recall, delta), abs=FLOAT32_SUM
    )


def test_average_precision_by_hand() -> None:
    """1/5 found at precision 1, 2/5 at 2/3, 3/5 at 3/5: .09 + .031667 + .1 + .041667 + .2 with steps of .05."""
    ap = average_precision(np.array([0.6, 2 / 3, 1], np.float32), np.array([0.6, 0.4, 0.2], np.float32), 0.05)
    assert ap == pytest.approx(0.463333, abs=SIX_DIGITS)
    assert average_precision(np.ones(3, np.float32), np.ones(3, np.float32), 0.05) == np.float32(1.0000001192)
    assert average_precision(np.ones(2, np.float32), np.zeros(2, np.float32), 0.05) == 0


def test_descending_keeps_the_order_of_equals() -> None:
    values = np.array([0.2, 0.9, 0.2, 0.9, 0.0], np.float32)
    assert sort_descending(values).tolist() == [1, 3, 0, 2, 4]


def test_curve() -> None:
    counts = np.zeros((NUM_COUNTS, 3), np.int64)
    counts[TP], counts[FP], counts[FN_1], counts[FN_2] = [4, 2, 0], [4, 0, 0], [4, 6, 8], [12, 14, 16]
    counts[HEADING] = np.array([2, 2, 0]) * FIXED_POINT
    hard = precision_recall_curve(counts, 2, 0.0)
    np.testing.assert_allclose(hard, [[0.5, 1, 1], [0.25, 1, 1], [0, 0, 1], [0.25, 0.125, 0]])
    np.testing.assert_allclose(precision_recall_curve(counts, 1, 0.0)[RECALL], [0.5, 0.25, 0])
    np.testing.assert_allclose(precision_recall_curve(counts, 1, 0.6)[0], [0, 1, 1])


def test_default_cutoffs() -> None:
    cutoffs = list_cutoffs(MetricsConfig())
    assert len(cutoffs) == 101
    assert (cutoffs[0], cutoffs[29], cutoffs[100]) == (0, np.float32(0.29), 1)


def test_highest_cutoff() -> None:
    cutoffs = np.array([0.1, 0.5, 0.9], np.float32)
    scores = np.array([0.05, 0.1, 0.49, 0.5, 2.0, np.nan, -np.inf, np.inf], np.float32)
    assert find_highest_cutoff(scores, cutoffs).tolist() == [-1, 0, 0, 1, 2, -1, -1, 2]


def test_estimated_cutoffs() -> None:
    scores = np.linspace(0.02, 1, 50, dtype=np.float32)
    assert estimate_cutoffs(scores, 1).tolist() == [0]
    np.testing.assert_allclose(estimate_cutoffs(scores, 6), [0.02, 0.22, 0.42, 0.62, 0.82, 1], atol=FLOAT32_BELOW_16)
    np.testing.assert_allclose(estimate_cutoffs(scores[:3], 5), [0, 0.25, 0.5, 0.75, 1], atol=FLOAT32_BELOW_16)


def test_the_order_of_equal_scores() -> None:
    """By score; stable up to 16; beyond, what `std::sort` of libstdc++ gives."""
    rng = np.random.default_rng(0)
    for num in (0, 1, 16, 17, 40, 300):
        score = rng.integers(0, 5, num).astype(np.float32)
        order = sort_by_introsort(score)
        assert sorted(order) == list(range(num))
        assert (np.diff(score[order]) <= 0).all()
        if num <= 16:
            assert order.tolist() == np.argsort(-score, kind="stable").tolist()
    of_17_equal = [8, 16, 15, 14, 13, 12, 11, 10, 9, 0, 7, 6, 5, 4, 3, 2, 1]
    assert sort_by_introsort(np.zeros(17, np.float32)).tolist() == of_17_equal
