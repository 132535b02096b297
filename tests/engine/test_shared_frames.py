"""Frames that are read twice, and weights that are used on other points: one line says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from pcdet_poly.config.schema import Config
from pcdet_poly.data.store.frame_store import write_store
from pcdet_poly.engine.checkpoint import load_model
from pcdet_poly.engine.frames import open_training_frames, open_validation_frames, warn_of_shared_frames
from tests.data.frames import make_frame
from tests.engine.test_checkpoint import checkpoint_of, network


@pytest.mark.parametrize(
    ("train", "val", "said"),
    [
        (["a"], ["b"], []),
        (
            ["a", "a"],
            ["b"],
            ["data.train: 2 frames are in it more than once, such as {first}: name each store once"],
        ),
        (
            ["a", "b"],
            ["b", "c"],
            ["data.val: 2 of its 4 frames are trained on as well: its AP is not of unseen frames"],
        ),
    ],
)
def test_frames_that_come_twice_are_counted(
    train: list[str], val: list[str], said: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b", "c"):
        write_store(tmp_path / name, [make_frame(0, segment=name), make_frame(1, segment=name)])
    folders = {"train": [str(tmp_path / name) for name in train], "val": [str(tmp_path / name) for name in val]}
    config = Config.model_validate({"data": folders})
    training = open_training_frames(config)
    capsys.readouterr()
    warn_of_shared_frames(training, open_validation_frames(config))
    assert capsys.readouterr().err.splitlines() == [
        f"warning: {line.format(first=training.frame_ids[0])}" for line in said
    ]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, ""),
        ({"returns": [1]}, "data.returns = [1, 2], used with [1]"),
        ({"sweeps": 3}, "data.sweeps = 1, used with 3"),
    ],
)
def test_weights_used_on_other_points_are_told(
    changes: dict[str, object], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = checkpoint_of(network(), Config())
    load_model(network(), checkpoint, Path("c.pt"), Config.model_validate({"data": changes}))
    expected = f"warning: c.pt: trained with {said}: the AP is of other points\n" if said else ""
    assert capsys.readouterr().err == expected
