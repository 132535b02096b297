"""What must hold for any detections and labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pcdet_poly.config.sections.evaluation import MetricsConfig
from pcdet_poly.evaluation import Evaluator, evaluate_set
from pcdet_poly.evaluation.box_tables import EvaluationSet, Objects, Predictions
from tests.evaluation.random_sets import build_random_set, move_frames, select_frames
from tests.tolerances import FLOAT32_SUM, SIX_DIGITS

SEEDS = range(4)
EVERY = MetricsConfig(breakdowns=("OBJECT_TYPE", "RANGE", "ONE_SHARD", "SIZE", "VELOCITY", "CAMERA"), let={})
TYPES = MetricsConfig(breakdowns=("OBJECT_TYPE",))


def evaluate_entries(boxes: EvaluationSet, cfg: MetricsConfig = EVERY, **options: int) -> dict:
    table = evaluate_set(boxes, cfg, **options)
    return {part: dict(rows) for part, rows in table.entries.items()}


@pytest.mark.parametrize("seed", SEEDS)
def test_the_order_of_frames_changes_no_bit(seed: int) -> None:
    boxes = build_random_set(seed, frames=7, copies=10)
    order = np.random.default_rng(seed).permutation(7)
    assert evaluate_entries(move_frames(boxes, order)) == evaluate_entries(boxes)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_order_of_boxes_changes_no_bit(seed: int) -> None:
    """Where no two assignments are equally good; there, row order decides, as officially."""
    boxes = build_random_set(seed)
    rng = np.random.default_rng(seed)

    def shuffled(rows: Predictions | Objects) -> Predictions | Objects:
        mixed = rows[rng.permutation(len(rows))]
        return mixed[np.argsort(mixed.frame, kind="stable")]

    mixed = replace(boxes, predictions=shuffled(boxes.predictions), objects=shuffled(boxes.objects))
    assert evaluate_entries(mixed) == evaluate_entries(boxes)


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_change_no_bit(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pcdet_poly.evaluation.match_counter._CHUNK_FRAMES", 2)
    boxes = build_random_set(5, frames=9, copies=10)
    assert evaluate_entries(boxes, threads=threads) == evaluate_entries(boxes)


@pytest.mark.parametrize("seed", SEEDS)
def test_merging_equals_one_pass(seed: int) -> None:
    boxes = build_random_set(seed, frames=7, copies=10)
    whole, left, right = Evaluator(EVERY), Evaluator(EVERY), Evaluator(EVERY)
    whole.add(boxes)
    left.add(select_frames(boxes, 0, 3))
    right.add(select_frames(boxes, 3, 7))
    right.merge(left)
    assert right.compute().entries == whole.compute().entries
    assert replace(right.compute().meta, seconds=0) == replace(whole.compute().meta, seconds=0)


@pytest.mark.parametrize("seed", SEEDS)
def test_perfect_predictions_give_1(seed: int) -> None:
    objects = build_random_set(seed).objects
    # Clumped objects may overlap each other; the best sum of IoU is still each object with itself.
    predictions = Predictions(
        frame=objects.frame,
        box=objects.box,
        type=objects.type,
        score=np.ones(len(objects), np.float32),
        in_no_label_zone=np.zeros(len(objects), bool),
        image=objects.image,
    )
    boxes = EvaluationSet(predictions, objects, tuple("0123"), ("",) * 4)
    for rows in evaluate_entries(boxes, TYPES).values():
        for name, row in rows.items():
            present = (objects.type == 1 + ["VEHICLE", "PEDESTRIAN", "SIGN", "CYCLIST"].index(name.split("_")[3])).any()
            assert row == pytest.approx({"ap": float(present), "aph": float(present)}, abs=SIX_DIGITS), name


@pytest.mark.parametrize("seed", SEEDS)
def test_a_false_positive_never_raises_ap(seed: int) -> None:
    boxes = build_random_set(seed)
    before = evaluate_entries(boxes, TYPES)
    rng = np.random.default_rng(seed)
    false = boxes.predictions[rng.integers(len(boxes.predictions), size=12)]
    box = false.box.copy()
    box[:, :2] += 500  # far from everything
    false = replace(false, box=box, in_no_label_zone=np.zeros(12, bool), score=rng.random(12).astype(np.float32))
    joined = Predictions.concatenate([boxes.predictions, false])
    after = evaluate_entries(replace(boxes, predictions=joined[np.argsort(joined.frame, kind="stable")]), TYPES)
    pairs = [(after[b][n][m], before[b][n][m]) for b in before for n in before[b] for m in ("ap", "aph")]
    assert all(a <= b for a, b in pairs)
    assert any(a < b for a, b in pairs)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("shift", [(0, 0, 0), (17.5, -8.25, 1.5)])
def test_a_rigid_motion_of_everything_changes_nothing(seed: int, shift: tuple[float, float, float]) -> None:
    boxes, angle = build_random_set(seed), 0.7 + seed

    def moved(rows: Predictions | Objects) -> Predictions | Objects:
        box = rows.box.astype(np.float64)
        cos, sin = np.cos(angle), np.sin(angle)
        x, y = cos * box[:, 0] - sin * box[:, 1], sin * box[:, 0] + cos * box[:, 1]
        turned = np.c_[np.c_[x, y, box[:, 2]] + shift, box[:, 3:6], box[:, 6] + angle]
        return replace(rows, box=turned.astype(np.float32))

    after = evaluate_entries(replace(boxes, predictions=moved(boxes.predictions), objects=moved(boxes.objects)), TYPES)
    for part, rows in evaluate_entries(boxes, TYPES).items():
        for name, row in rows.items():
            assert after[part][name] == pytest.approx(row, abs=FLOAT32_SUM), name


def test_scores_above_every_cutoff_alone_decide() -> None:
    """Predictions below the smallest cut-off, or with a NaN score, do not count."""
    boxes = build_random_set(3)
    low = replace(boxes.predictions, score=np.where(np.arange(len(boxes.predictions)) % 2, np.nan, -1).astype("f4"))
    joined = Predictions.concatenate([boxes.predictions, low])
    both = replace(boxes, predictions=joined[np.argsort(joined.frame, kind="stable")])
    assert evaluate_entries(both) == evaluate_entries(boxes)


def test_one_shard_is_the_sum_of_types() -> None:
    evaluator = Evaluator(MetricsConfig(breakdowns=("ONE_SHARD", "OBJECT_TYPE")))
    evaluator.add(build_random_set(7, frames=5))
    counts = evaluator.sum_counts()
    np.testing.assert_array_equal(counts[:, 0], counts[:, 1:].sum(axis=1))


def test_level_2_adds_missed_objects_only() -> None:
    evaluator = Evaluator(TYPES)
    evaluator.add(build_random_set(8))
    table = evaluator.compute()
    counts = evaluator.sum_counts()
    assert (counts[:, :, 3] >= counts[:, :, 2]).all()
    assert table["3D"]["OBJECT_TYPE_TYPE_VEHICLE_LEVEL_1"]["ap"] > table["3D"]["OBJECT_TYPE_TYPE_VEHICLE_LEVEL_2"]["ap"]
