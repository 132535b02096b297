"""Intervals over segments against evaluating the resampled frames themselves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pcdet_poly.config.sections.evaluation import MetricsConfig
from pcdet_poly.errors import UserError
from pcdet_poly.evaluation import Evaluator, bootstrap, evaluate_set, paired_bootstrap
from pcdet_poly.evaluation.bootstrap import draw_segments, resample_metrics
from pcdet_poly.evaluation.box_tables import EvaluationSet
from tests.evaluation.random_sets import build_random_set, select_frames
from tests.tolerances import FLOAT32_BELOW_16

CFG = MetricsConfig(breakdowns=("OBJECT_TYPE",), box_types=("3D",))
FRAMES = 12  # in three segments: frame i is of segment i % 3
VEHICLE = "OBJECT_TYPE_TYPE_VEHICLE_LEVEL_1"


def run_evaluator(boxes: EvaluationSet) -> Evaluator:
    evaluator = Evaluator(CFG)
    evaluator.add(boxes)
    return evaluator


def drop_predictions(boxes: EvaluationSet, share: float) -> EvaluationSet:
    """Some predictions less."""
    keep = np.random.default_rng(0).random(len(boxes.predictions)) > share
    return replace(boxes, predictions=boxes.predictions[keep])


def test_a_resampling_equals_evaluating_its_frames() -> None:
    boxes = build_random_set(1, frames=FRAMES)
    draws = np.array([[3, 0, 0], [0, 1, 2], [1, 1, 1]])
    values = resample_metrics(run_evaluator(boxes), draws)
    for draw, value in zip(draws, values, strict=True):
        repeated = Evaluator(CFG)
        for frame in range(FRAMES):
            for _ in range(draw[frame % 3]):
                repeated.add(select_frames(boxes, frame, frame + 1))
        rows = repeated.compute()["3D"]
        np.testing.assert_allclose(
            value[0, :, :, :2].ravel(), [v for row in rows.values() for v in row.values()], atol=FLOAT32_BELOW_16
        )


def test_draws_are_reproducible_and_complete() -> None:
    draws = draw_segments(3, 50, 7)
    assert (draws == draw_segments(3, 50, 7)).all()
    assert (draws.sum(axis=1) == 3).all()
    assert (draws != draw_segments(3, 50, 8)).any()


def test_intervals_hold_most_resamplings_and_keep_the_values() -> None:
    evaluator = run_evaluator(build_random_set(2, frames=FRAMES))
    table = bootstrap(evaluator, resamples=200, seed=3)
    assert table.entries == evaluator.compute().entries
    low, high = table.intervals["3D"][VEHICLE]["ap"]
    samples = resample_metrics(evaluator, draw_segments(3, 200, 3))[:, 0, 0, 0, 0]
    assert 0.93 <= ((samples >= low) & (samples <= high)).mean() <= 1
    assert low < high
    assert table.meta.segments == 3


def test_equal_detectors_do_not_differ() -> None:
    evaluator = run_evaluator(build_random_set(3, frames=FRAMES))
    table = paired_bootstrap(evaluator, evaluator, resamples=20)
    assert {value for _, _, _, value in table.iterate_rows()} == {0.0}
    assert table.get_interval("3D", VEHICLE, "ap") == (0, 0)


def test_a_paired_difference_is_surer_than_two_intervals_say() -> None:
    boxes = build_random_set(4, frames=FRAMES, objects=20)
    first, second = run_evaluator(boxes), run_evaluator(drop_predictions(boxes, 0.3))
    difference = paired_bootstrap(first, second, resamples=200)
    expected = first.compute()["3D"][VEHICLE]["ap"] - second.compute()["3D"][VEHICLE]["ap"]
    assert difference["3D"][VEHICLE]["ap"] == pytest.approx(expected)
    low, high = difference.get_interval("3D", VEHICLE, "ap")
    assert low <= expected <= high
    apart = [bootstrap(one, resamples=200).get_interval("3D", VEHICLE, "ap") for one in (first, second)]
    assert high - low < sum(b - a for a, b in apart)


def test_mistakes_are_named() -> None:
    one = Evaluator(CFG)
    one.add(replace(build_random_set(6), segments=("only",) * 4))
    with pytest.raises(UserError, match=r"1 segment\(s\) seen"):
        bootstrap(one)
    others = run_evaluator(replace(build_random_set(6), segments=("x", "y", "x", "y")))
    with pytest.raises(UserError, match="same segments"):
        paired_bootstrap(run_evaluator(build_random_set(6)), others)


def test_segments_change_no_value() -> None:
    boxes = build_random_set(7)
    assert run_evaluator(boxes).compute().entries == evaluate_set(replace(boxes, segments=("",) * 4), CFG).entries
