"""When a run logs, saves and evaluates."""

from __future__ import annotations

import pytest

from pcdet_poly.config.sections.train import TrainConfig
from pcdet_poly.engine.timeline import Timeline
from pcdet_poly.errors import UserError


def steps(timeline: Timeline, question: str) -> list[int]:
    return [step for step in range(timeline.total_steps + 1) if getattr(timeline, question)(step)]


def test_every_n_counts_steps_for_logs_and_epochs_for_the_rest() -> None:
    timeline = Timeline(TrainConfig(epochs=5, log_every=4, save_every=2, evaluate_every=3), steps_per_epoch=3)
    assert timeline.total_steps == 15
    assert steps(timeline, "should_log") == [0, 4, 8, 12, 15]
    assert steps(timeline, "should_save") == [6, 12, 15]
    assert steps(timeline, "should_evaluate") == [9, 15]


def test_without_evaluation_during_training_the_end_is_still_evaluated() -> None:
    timeline = Timeline(TrainConfig(epochs=3, evaluate_every=0, save_every=100), steps_per_epoch=2)
    assert steps(timeline, "should_evaluate") == [6]
    assert steps(timeline, "should_save") == [6]


def test_a_number_of_steps_takes_the_place_of_epochs() -> None:
    timeline = Timeline(TrainConfig(epochs=30, steps=7, save_every=1), steps_per_epoch=3)
    assert (timeline.total_steps, timeline.epochs) == (7, 3)
    assert [timeline.count_steps_in(epoch) for epoch in range(3)] == [3, 3, 1]
    assert steps(timeline, "should_save") == [3, 6, 7]
    assert steps(timeline, "should_evaluate") == [7]


def test_a_warm_up_without_an_end_is_refused() -> None:
    with pytest.raises(UserError, match=r"train\.warmup = 6: all of the 6 steps; lower it, or raise train\.epochs"):
        Timeline(TrainConfig(epochs=2, warmup=6), steps_per_epoch=3)
    assert Timeline(TrainConfig(epochs=2, warmup=5), steps_per_epoch=3).total_steps == 6
