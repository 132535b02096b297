"""Starting from another run's weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from pcdet_poly.config.schema import Config
from pcdet_poly.engine.checkpoint import Checkpoint, config_values, save_checkpoint
from pcdet_poly.engine.run import Run
from pcdet_poly.engine.warm_start import warm_start
from pcdet_poly.errors import UserError


def network(classes: int, *, extra: bool = False) -> nn.Module:
    parts = {"body": nn.Linear(3, 4), "head": nn.Linear(4, classes)} | ({"extra": nn.Linear(2, 2)} if extra else {})
    return nn.ModuleDict(parts)


def saved(path: Path, model: nn.Module, *, average: nn.Module | None = None) -> Path:
    state = None if average is None else average.state_dict()
    save_checkpoint(path, Checkpoint(3, 1, config_values(Config()), model.state_dict(), {}, {}, average=state))
    return path


def config(path: Path) -> Config:
    return Config.model_validate({"train": {"initial_weights": str(path)}})


def test_what_fits_is_copied_and_the_rest_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trained, model = network(3, extra=True), network(5)
    before = model["head"].weight.clone()
    path = saved(tmp_path / "c.pt", trained)
    warm_start(model, config(path), tmp_path / "run")
    assert torch.equal(model["body"].weight, trained["body"].weight)
    assert torch.equal(model["head"].weight, before)
    assert capsys.readouterr().err == (
        f"{path}: 2 of 4 tensors to start from; random are head.weight, head.bias; 4 of its own unused\n"
    )


def test_a_run_folder_means_its_last_checkpoint_and_averaged_weights(tmp_path: Path) -> None:
    run = Run(tmp_path / "other", Config(), torch.device("cpu"))
    saved(run.checkpoint_path(10), network(3))
    average = network(3)
    saved(run.checkpoint_path(20), network(3), average=average)
    model = network(3)
    warm_start(model, config(run.folder), tmp_path / "run")
    assert torch.equal(model["head"].weight, average["head"].weight)


def test_nothing_that_fits_is_refused_and_so_is_nothing_at_all(tmp_path: Path) -> None:
    path = saved(tmp_path / "c.pt", nn.ModuleDict({"other": nn.Linear(1, 1)}))
    with pytest.raises(UserError, match=r"train\.initial_weights = .*c\.pt: no tensor fits this model"):
        warm_start(network(3), config(path), tmp_path / "run")
    with pytest.raises(UserError, match=r"nowhere\.pt: no such checkpoint"):
        warm_start(network(3), config(tmp_path / "nowhere.pt"), tmp_path / "run")


def test_a_run_that_has_a_checkpoint_goes_on_from_that(tmp_path: Path) -> None:
    saved(Run(tmp_path / "run", Config(), torch.device("cpu")).checkpoint_path(10), network(3))
    model = network(3)
    before = model["body"].weight.clone()
    warm_start(model, config(tmp_path / "gone.pt"), tmp_path / "run")
    assert torch.equal(model["body"].weight, before)


def test_classes_in_another_order_are_refused_and_other_classes_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = saved(tmp_path / "c.pt", network(3))
    turned = Config.model_validate(
        {"train": {"initial_weights": str(path)}, "data": {"classes": ["PEDESTRIAN", "VEHICLE", "CYCLIST"]}}
    )
    with pytest.raises(UserError, match=r"its outputs are VEHICLE, PEDESTRIAN, CYCLIST, in this order"):
        warm_start(network(3), turned, tmp_path / "run")
    one = Config.model_validate({"train": {"initial_weights": str(path)}, "data": {"classes": ["CYCLIST"]}})
    warm_start(network(1), one, tmp_path / "run")
    assert (
        "trained with data.classes = ['VEHICLE', 'PEDESTRIAN', 'CYCLIST'], here ['CYCLIST']" in capsys.readouterr().err
    )
