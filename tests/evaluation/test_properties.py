"""What must hold for any detections and labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pcdet_poly.config.sections.evaluation import MetricsConfig
from pcdet_poly.evaluation import Evaluator, evaluate_set
from pcdet_poly.evaluation.box_tables import EvaluationSet, Objects, Predictions
from tests.evaluation.random_sets import part_of, random_problem, with_frames

SEEDS = range(4)
EVERY = MetricsConfig(breakdowns=("OBJECT_TYPE", "RANGE", "ONE_SHARD", "SIZE", "VELOCITY", "CAMERA"), let={})
TYPES = MetricsConfig(breakdowns=("OBJECT_TYPE",))


def entries(problem: EvaluationSet, cfg: MetricsConfig = EVERY, **options: int) -> dict:
    table = evaluate_set(problem, cfg, **options)
    return {part: dict(rows) for part, rows in table.entries.items()}


@pytest.mark.parametrize("seed", SEEDS)
def test_the_order_of_frames_changes_no_bit(seed: int) -> None:
    problem = random_problem(seed, frames=7, copies=10)
    order = np.random.default_rng(seed).permutation(7)
    assert entries(with_frames(problem, order)) == entries(problem)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_order_of_boxes_changes_no_bit(seed: int) -> None:
    """Where no two assignments are equally good; there, row order decides, as officially."""
    problem = random_problem(seed)
    rng = np.random.default_rng(seed)

    def shuffled(rows: Predictions | Objects) -> Predictions | Objects:
        mixed = rows[rng.permutation(len(rows))]
        return mixed[np.argsort(mixed.frame, kind="stable")]

    mixed = replace(problem, predictions=shuffled(problem.predictions), objects=shuffled(problem.objects))
    assert entries(mixed) == entries(problem)


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_change_no_bit(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pcdet_poly.evaluation.match_counter._CHUNK_FRAMES", 2)
    problem = random_problem(5, frames=9, copies=10)
    assert entries(problem, threads=threads) == entries(problem)


@pytest.mark.parametrize("seed", SEEDS)
def test_merging_equals_one_pass(seed: int) -> None:
    problem = random_problem(seed, frames=7, copies=10)
    whole, left, right = Evaluator(EVERY), Evaluator(EVERY), Evaluator(EVERY)
    whole.add(problem)
    left.add(part_of(problem, 0, 3))
    right.add(part_of(problem, 3, 7))
    right.merge(left)
    assert right.compute().entries == whole.compute().entries
    assert replace(right.compute().meta, seconds=0) == replace(whole.compute().meta, seconds=0)


@pytest.mark.parametrize("seed", SEEDS)
def test_perfect_predictions_give_1(seed: int) -> None:
    objects = random_problem(seed).objects
    # Clumped objects may overlap each other; the best sum of IoU is still each object with itself.
    predictions = Predictions(
        frame=objects.frame,
        box=objects.box,
        type=objects.type,
        score=np.ones(len(objects), np.float32),
        in_no_label_zone=np.zeros(len(objects), bool),
        image=objects.image,
    )
    problem = EvaluationSet(predictions, objects, tuple("0123"), ("",) * 4)
    for rows in entries(problem, TYPES).values():
        for name, row in rows.items():
            present = (objects.type == 1 + ["VEHICLE", "PEDESTRIAN", "SIGN", "CYCLIST"].index(name.split("_")[3])).any()
            assert row == pytest.approx({"ap": float(present), "aph": float(present)}, abs=1e-6), name


@pytest.mark.parametrize("seed", SEEDS)
def test_a_false_positive_never_raises_ap(seed: int) -> None:
    problem = random_problem(seed)
    before = entries(problem, TYPES)
    rng = np.random.default_rng(seed)
    false = problem.predictions[rng.integers(len(problem.predictions), size=12)]
    box = false.box.copy()
    box[:, :2] += 500  # far from everything
    false = replace(false, box=box, in_no_label_zone=np.zeros(12, bool), score=rng.random(12).astype(np.float32))
    joined = Predictions.concatenate([problem.predictions, false])
    after = entries(replace(problem, predictions=joined[np.argsort(joined.frame, kind="stable")]), TYPES)
    pairs = [(after[b][n][m], before[b][n][m]) for b in before for n in before[b] for m in ("ap", "aph")]
    assert all(a <= b for a, b in pairs)
    assert any(a < b for a, b in pairs)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("shift", [(0, 0, 0), (17.5, -8.25, 1.5)])
def test_a_rigid_motion_of_everything_changes_nothing(seed: int, shift: tuple[float, float, float]) -> None:
    problem, angle = random_problem(seed), 0.7 + seed

    def moved(rows: Predictions | Objects) -> Predictions | Objects:
        box = rows.box.astype(np.float64)
        cos, sin = np.cos(angle), np.sin(angle)
        x, y = cos * box[:, 0] - sin * box[:, 1], sin * box[:, 0] + cos * box[:, 1]
        turned = np.c_[np.c_[x, y, box[:, 2]] + shift, box[:, 3:6], box[:, 6] + angle]
        return replace(rows, box=turned.astype(np.float32))

    after = entries(replace(problem, predictions=moved(problem.predictions), objects=moved(problem.objects)), TYPES)
    for part, rows in entries(problem, TYPES).items():
        for name, row in rows.items():
            assert after[part][name] == pytest.approx(row, abs=1e-5), name


def test_scores_above_every_cutoff_alone_decide() -> None:
    """Predictions below the smallest cut-off, or with a NaN score, do not count."""
    problem = random_problem(3)
    low = replace(problem.predictions, score=np.where(np.arange(len(problem.predictions)) % 2, np.nan, -1).astype("f4"))
    joined = Predictions.concatenate([problem.predictions, low])
    both = replace(problem, predictions=joined[np.argsort(joined.frame, kind="stable")])
    assert entries(both) == entries(problem)


def test_one_shard_is_the_sum_of_types() -> None:
    evaluator = Evaluator(MetricsConfig(breakdowns=("ONE_SHARD", "OBJECT_TYPE")))
    evaluator.add(random_problem(7, frames=5))
    counts = evaluator.sum_counts()
    np.testing.assert_array_equal(counts[:, 0], counts[:, 1:].sum(axis=1))


def test_level_2_adds_missed_objects_only() -> None:
    evaluator = Evaluator(TYPES)
    evaluator.add(random_problem(8))
    table = evaluator.compute()
    counts = evaluator.sum_counts()
    assert (counts[:, :, 3] >= counts[:, :, 2]).all()
    assert table["3D"]["OBJECT_TYPE_TYPE_VEHICLE_LEVEL_1"]["ap"] > table["3D"]["OBJECT_TYPE_TYPE_VEHICLE_LEVEL_2"]["ap"]
