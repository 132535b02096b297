"""The run folder: starting, resuming, opening, logging."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from pcdet_poly.config.load import load_config
from pcdet_poly.config.schema import Config
from pcdet_poly.engine.environment import pick_device
from pcdet_poly.engine.run import Run, open_run, start_run
from pcdet_poly.errors import UserError

CPU = torch.device("cpu")


def config(**train: object) -> Config:
    return Config.model_validate({"train": train})


def test_a_new_run_writes_its_config_and_environment(tmp_path: Path) -> None:
    run = start_run(tmp_path / "runs" / "a", config(epochs=3, seed=4), CPU, resume=False)
    assert load_config(run.folder / "config.yaml") == run.config
    (start,) = json.loads((run.folder / "environment.json").read_text())["starts"]
    assert start["seed"] == 4
    assert start["packages"]["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert {"command", "git", "python", "device", "threads"} <= start.keys()


def test_an_existing_folder_needs_resume_or_another_name(tmp_path: Path) -> None:
    start_run(tmp_path / "a", config(), CPU, resume=False)
    with pytest.raises(UserError, match=r"a: already there; go on with --resume, or choose another --name$"):
        start_run(tmp_path / "a", config(), CPU, resume=False)


def test_an_empty_folder_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    assert start_run(tmp_path / "a", config(), CPU, resume=False).folder.is_dir()


def test_resume_takes_the_same_settings_and_notes_the_start(tmp_path: Path) -> None:
    start_run(tmp_path / "a", config(epochs=3), CPU, resume=True)
    start_run(tmp_path / "a", config(epochs=3, threads=1), CPU, resume=True)
    assert len(json.loads((tmp_path / "a" / "environment.json").read_text())["starts"]) == 2
    with pytest.raises(UserError, match=r"a: was started with train\.epochs = 3, now train\.epochs = 4; resume with"):
        start_run(tmp_path / "a", config(epochs=4), CPU, resume=True)


def test_resume_refuses_a_folder_that_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "holiday.jpg").touch()
    with pytest.raises(UserError, match=r"a: something else than a run is there"):
        start_run(tmp_path / "a", config(), CPU, resume=True)


def test_opening_takes_the_runs_settings_with_overrides_on_top(tmp_path: Path) -> None:
    start_run(tmp_path / "a", config(epochs=3, seed=4), CPU, resume=False)
    run = open_run(tmp_path / "a", ["train.seed=9"], CPU)
    assert (run.config.train.epochs, run.config.train.seed) == (3, 9)


def test_opening_what_is_no_run_names_those_that_are(tmp_path: Path) -> None:
    for name in ("b", "a"):
        start_run(tmp_path / name, config(), CPU, resume=False)
    with pytest.raises(UserError, match=r"c: not a run \(no config\.yaml in it\); runs in .*: a, b$"):
        open_run(tmp_path / "c", [], CPU)
    with pytest.raises(UserError, match=r"c: not a run \(no config\.yaml in it\); make one with pcdet-poly train$"):
        open_run(tmp_path / "nowhere" / "c", [], CPU)


def test_checkpoints_are_found_by_word_and_by_path(tmp_path: Path) -> None:
    run = start_run(tmp_path / "a", config(), CPU, resume=False)
    with pytest.raises(UserError, match="no checkpoint yet"):
        run.find_checkpoint("last")
    with pytest.raises(UserError, match=r"best\.pt: no evaluation has chosen one yet"):
        run.find_checkpoint("best")
    for step in (9, 100, 20):
        run.checkpoint_path(step).touch()
    run.best_checkpoint.touch()
    assert run.find_checkpoint("last") == run.checkpoint_path(100)
    assert run.find_checkpoint("best") == run.best_checkpoint
    assert run.find_checkpoint("step_00000009.pt") == run.checkpoint_path(9)
    elsewhere = tmp_path / "other.pt"
    elsewhere.touch()
    assert run.find_checkpoint(str(elsewhere)) == elsewhere
    with pytest.raises(UserError, match=r"step_00000008\.pt: no such checkpoint; did you mean 'step_0000"):
        run.find_checkpoint("step_00000008.pt")
    with pytest.raises(UserError, match=r"other: no such checkpoint; there are best, best\.pt, last, step_0"):
        run.find_checkpoint("other")


def logged(tmp_path: Path) -> Run:
    run = start_run(tmp_path / "a", config(), CPU, resume=False)
    for step in (10, 20, 30):
        run.log("step", step, {"loss": 1 / step})
    run.log("evaluation", 20, {"score": 0.1234567890123})
    return run


def test_log_lines_are_json_with_nine_digits(tmp_path: Path) -> None:
    lines = [json.loads(line) for line in (logged(tmp_path).folder / "log.jsonl").read_text().splitlines()]
    assert lines[2] == {"event": "step", "step": 30, "loss": 0.0333333333}
    assert lines[3] == {"event": "evaluation", "step": 20, "score": 0.123456789}


def test_the_log_goes_to_tensorboard_too(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = logged(tmp_path)
    run.tensorboard.close()
    events = EventAccumulator(str(run.folder / "tensorboard")).Reload()
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [
        (step, pytest.approx(1 / step)) for step in (10, 20, 30)
    ]


def test_rewinding_drops_later_and_half_written_lines(tmp_path: Path) -> None:
    run = logged(tmp_path)
    with open(run.folder / "log.jsonl", "a") as file:
        file.write('{"event": "step", "st')
    run.rewind_log(20)
    assert [(line["event"], line["step"]) for line in run.read_log()] == [
        ("step", 10),
        ("step", 20),
        ("evaluation", 20),
    ]
    assert run.has_logged("evaluation", 20)
    assert not run.has_logged("step", 30)
    run.log("step", 30, {"loss": 0.0})
    assert run.has_logged("step", 30)


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    assert pick_device("cpu") == CPU
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device("auto") == CPU
    with pytest.raises(UserError, match="--device cuda: torch sees no GPU here"):
        pick_device("cuda")
