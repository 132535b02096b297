"""Precision-recall curves and pictures in TensorBoard."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray

from pcdet_poly.config.schema import Config
from pcdet_poly.config.sections.evaluation import MetricsConfig
from pcdet_poly.engine.board import show_evaluation
from pcdet_poly.engine.frames import open_training_frames
from pcdet_poly.engine.run import Run, start_run
from pcdet_poly.engine.start import prepare_run
from pcdet_poly.engine.train import train
from pcdet_poly.evaluation import Evaluator
from pcdet_poly.structures import Detections, GroundTruth
from tests.tolerances import FLOAT32_VALUE

CPU = torch.device("cpu")
CLASSES = ("VEHICLE", "PEDESTRIAN")
CAR = (5.0, 0.0, 1.0, 4.0, 2.0, 2.0, 0.0)


def board_of(run: Run) -> EventAccumulator:
    """As TensorBoard reads it: everything is a tensor."""
    return EventAccumulator(str(run.folder / "tensorboard"), {"tensors": 0}).Reload()


def evaluator(cutoffs: tuple[float, ...] | None) -> Evaluator:
    """Three cars, two of them found with scores 0.9 and 0.6, and a false one with 0.75."""
    cars = np.array([CAR, (15.0, *CAR[1:]), (25.0, *CAR[1:])], np.float32)
    truth = GroundTruth(cars, *np.array([[0] * 3, [1] * 3, [9] * 3]), np.array(["a", "b", "c"]), np.zeros((3, 2)))
    found = np.array([cars[0], cars[1], (-20.0, *CAR[1:])], np.float32)
    made = Evaluator(MetricsConfig(score_cutoffs=cutoffs), class_names=CLASSES)
    made.update([Detections(found, np.zeros(3, np.int64), np.array([0.9, 0.6, 0.75], np.float32))], [truth])
    return made


@pytest.mark.parametrize("cutoffs", [None, tuple(np.linspace(0, 0.99, 100).tolist())])
def test_curves_hold_the_counts_at_every_threshold(tmp_path: Path, cutoffs: tuple[float, ...] | None) -> None:
    run = start_run(tmp_path / "a", Config(), CPU, resume=False)
    show_evaluation(run, evaluator(cutoffs), tmp_path, step=7)
    run.close()
    board = board_of(run)
    assert set(board.Tags()["tensors"]) == {f"{p}/{name}_LEVEL_2" for p in ("3D", "BEV") for name in CLASSES}
    (event,) = board.Tensors("3D/VEHICLE_LEVEL_2")
    assert event.step == 7
    true, false, _, missed, precision, recall = make_ndarray(event.tensor_proto)
    thresholds = np.arange(101) / 100
    np.testing.assert_array_equal(true, (thresholds <= 0.9).astype(int) + (thresholds <= 0.6))
    np.testing.assert_array_equal(false, (thresholds <= 0.75).astype(int))
    np.testing.assert_array_equal(missed, 3 - true)
    np.testing.assert_allclose(recall, true / 3, rtol=FLOAT32_VALUE)
    seen = true > 0
    np.testing.assert_allclose(precision[seen], true[seen] / (true + false)[seen], rtol=FLOAT32_VALUE)
    assert (precision[~seen] == 1).all()


def test_training_shows_each_evaluation_once_resumed_or_not(tmp_path: Path, tiny) -> None:
    settings = tiny(epochs=2, evaluate_every=1)
    settings = settings.model_copy(update={"evaluation": settings.evaluation.model_copy(update={"pictures": 2})})
    frames = open_training_frames(settings)
    for again in (False, True):
        run, recipe = prepare_run(settings, frames, tmp_path / "a", CPU, resume=again)
        train(run, recipe, frames, frames)
        if not again:  # as if it had been killed after the first epoch's checkpoint
            run.checkpoint_path(6).unlink()
    board = board_of(run)
    assert [event.step for event in board.Tensors("3D/VEHICLE_LEVEL_2")] == [3, 6]
    pictures = [tag for tag in board.Tags()["tensors"] if tag.startswith("pictures/")]
    assert len(pictures) == 2
    for tag in pictures:
        assert [event.step for event in board.Tensors(tag)] == [3, 6]
        assert board.Tensors(tag)[0].tensor_proto.string_val[:2] == [b"1200", b"1200"]
