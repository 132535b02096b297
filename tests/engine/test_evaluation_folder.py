"""Where an evaluation is written: never over one of something else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from pcdet_poly.config.load import dump_config
from pcdet_poly.config.schema import Config
from pcdet_poly.engine.checkpoint import config_hash, config_values
from pcdet_poly.engine.evaluation_folder import choose_evaluation_folder
from pcdet_poly.engine.run import open_run
from tests.tiny import TINY

CPU = torch.device("cpu")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run on the store `own`; stores are only named here, never read."""
    run = tmp_path / "run"
    run.mkdir()
    data = TINY["data"] | {"val": [str(tmp_path / "own")]}
    (run / "config.yaml").write_text(dump_config(Config.model_validate(TINY | {"data": data})))
    return run


def choose(folder: Path, *overrides: str) -> Path:
    return choose_evaluation_folder(open_run(folder, list(overrides), CPU), overrides)


def evaluate(folder: Path, *overrides: str) -> Path:
    """Leave what an evaluation leaves of itself."""
    chosen, config = choose(folder, *overrides), open_run(folder, list(overrides), CPU).config
    chosen.mkdir(parents=True, exist_ok=True)
    meta = {"config_hash": config_hash(config_values(config)), "data": list(config.data.val)}
    (chosen / "metrics.json").write_text(json.dumps({"meta": meta}))
    return chosen


@pytest.mark.parametrize(
    "overrides",
    [[], ["evaluation.pictures=9"], ["data.workers=1"], ["data.val=[{parent}/x/../own]"], ["evaluation.best_by=BEV"]],
)
def test_what_changes_no_number_goes_into_the_runs_folder(folder: Path, overrides: list[str]) -> None:
    assert choose(folder, *(text.format(parent=folder.parent) for text in overrides)) == folder


def test_other_settings_and_data_have_folders_of_their_own(folder: Path) -> None:
    one, other = evaluate(folder, "data.val=[a/val]"), evaluate(folder, "data.val=[b/val]")
    assert (one.name, other.name) == ("val", "val-2")
    assert one.parent == folder / "evaluations"
    assert evaluate(folder, "data.val=[b/val]") == other  # once more: the same folder
    assert (
        len(
            {one, other, evaluate(folder, "data.val=[a/val]", "decode.score=0.2"), evaluate(folder, "decode.score=0.2")}
        )
        == 4
    )
    assert not (folder / "metrics.json").exists()


def test_a_folder_of_somebody_else_is_left_alone(folder: Path) -> None:
    (folder / "evaluations/val").mkdir(parents=True)
    (folder / "evaluations/val/notes.txt").write_text("mine")
    assert choose(folder, "data.val=[a/val]").name == "val-2"


def test_a_name_is_one_part_of_a_path_and_not_too_long(folder: Path) -> None:
    chosen = choose(folder, f"data.val=[{','.join(f'stores/number_{k}' for k in range(60))}]")
    assert chosen.parent == folder / "evaluations"
    assert len(chosen.name) < 200
