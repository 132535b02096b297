"""Trackers: off unless asked for, every line once however often a run is resumed, failures that cost no training."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from pcdet_poly.config.schema import Config
from pcdet_poly.engine.frames import open_training_frames
from pcdet_poly.engine.run import start_run
from pcdet_poly.engine.start import prepare_run
from pcdet_poly.engine.train import train
from pcdet_poly.errors import UserError

CPU = torch.device("cpu")
TRACKERS = ("wandb", "mlflow")


class FakeWandb(ModuleType):
    """Keeps what real Weights & Biases would send."""

    def __init__(self) -> None:
        super().__init__("wandb")
        self.starts: list[dict[str, Any]] = []
        self.lines: list[tuple[str, int, dict[str, float]]] = []
        self.finished = 0
        self.broken = False

    def init(self, **options: Any) -> Any:
        if self.broken:
            raise RuntimeError("no route to host\nand much more")
        self.starts.append(options)
        return SimpleNamespace(log=self._log, finish=self._finish)

    def _log(self, values: dict[str, float], step: int) -> None:
        if self.broken:
            raise RuntimeError("no route to host")
        self.lines.append((self.starts[-1]["id"], step, values))

    def _finish(self) -> None:
        self.finished += 1


class FakeMlflow(ModuleType):
    """A client of MLflow that keeps everything in one dict per run."""

    def __init__(self) -> None:
        super().__init__("mlflow")
        self.entities = ModuleType("mlflow.entities")
        self.entities.Metric = lambda *values: values
        self.entities.Param = lambda *values: values
        self.experiments: dict[str, str] = {}
        self.runs: dict[str, dict[str, Any]] = {}

    def MlflowClient(self) -> FakeMlflow:  # noqa: N802
        return self

    def get_experiment_by_name(self, name: str) -> Any:
        return SimpleNamespace(experiment_id=self.experiments[name]) if name in self.experiments else None

    def create_experiment(self, name: str) -> str:
        return self.experiments.setdefault(name, f"experiment {name}")

    def create_run(self, experiment: str, run_name: str) -> Any:
        run_id = f"id{len(self.runs)}"
        self.runs[run_id] = {
            "experiment": experiment,
            "name": run_name,
            "params": {},
            "metrics": [],
            "status": "RUNNING",
        }
        return self.get_run(run_id)

    def get_run(self, run_id: str) -> Any:
        if run_id not in self.runs:
            raise RuntimeError(f"Run '{run_id}' not found")
        return SimpleNamespace(info=SimpleNamespace(run_id=run_id))

    def update_run(self, run_id: str, status: str) -> None:
        self.runs[run_id]["status"] = status

    def set_terminated(self, run_id: str) -> None:
        self.runs[run_id]["status"] = "FINISHED"

    def log_batch(self, run_id: str, metrics: Any = (), params: Any = ()) -> None:
        assert len(params) <= 100
        self.runs[run_id]["params"] |= dict(params)
        self.runs[run_id]["metrics"] += [(name, step, value) for name, value, _, step in metrics]


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> FakeWandb:
    fake = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    return fake


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch) -> FakeMlflow:
    fake = FakeMlflow()
    monkeypatch.setitem(sys.modules, "mlflow", fake)
    monkeypatch.setitem(sys.modules, "mlflow.entities", fake.entities)
    return fake


def config(tracker: str, **train: object) -> Config:
    return Config.model_validate({"train": {"tracker": tracker, **train}})


def test_no_tracker_is_imported_unless_asked_for() -> None:
    code = (
        "import sys, pcdet_poly.engine.train; from pcdet_poly.config.schema import Config; "
        "assert Config().train.tracker == 'none'; assert not {'wandb', 'mlflow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("tracker", TRACKERS)
def test_a_missing_package_is_refused_before_the_folder_is_made(
    tmp_path: Path, tiny, monkeypatch: pytest.MonkeyPatch, tracker: str
) -> None:
    monkeypatch.setitem(sys.modules, tracker, None)
    settings = tiny(tracker=tracker)
    with pytest.raises(UserError, match=rf"^train\.tracker = {tracker}: .*pip install {tracker}, or train"):
        prepare_run(settings, open_training_frames(settings), tmp_path / "a", CPU, resume=False)
    assert not (tmp_path / "a").exists()


def test_wandb_gets_project_name_config_and_every_line(tmp_path: Path, wandb: FakeWandb) -> None:
    run = start_run(tmp_path / "a", config("wandb", tracker_project="mine"), CPU, resume=False)
    run.log("step", 10, {"loss": 0.5})
    run.log("evaluation", 10, {"score": 0.25})
    run.close()
    (options,) = wandb.starts
    assert (options["project"], options["name"], options["resume"]) == ("mine", "a", "allow")
    assert options["config"]["train"]["tracker_project"] == "mine"
    assert [line[1:] for line in wandb.lines] == [(10, {"loss": 0.5}), (10, {"score": 0.25})]
    assert wandb.finished == 1


def test_mlflow_gets_experiment_name_params_and_every_line(tmp_path: Path, mlflow: FakeMlflow) -> None:
    run = start_run(tmp_path / "a", config("mlflow"), CPU, resume=False)
    run.log("step", 10, {"loss": 0.5, "3D/VEHICLE_LEVEL_1/ap": 0.25})
    assert mlflow.runs["id0"]["status"] == "RUNNING"
    run.close()
    (kept,) = mlflow.runs.values()
    assert (kept["experiment"], kept["name"], kept["status"]) == ("experiment pcdet_poly", "a", "FINISHED")
    assert kept["params"]["train.epochs"] == "30"
    assert kept["metrics"] == [("loss", 10, 0.5), ("3D/VEHICLE_LEVEL_1/ap", 10, 0.25)]


def lines_of(fake: FakeWandb | FakeMlflow) -> list[tuple[int, float]]:
    if isinstance(fake, FakeWandb):
        return [(step, value) for _, step, values in fake.lines for value in values.values()]
    return [(step, value) for run in fake.runs.values() for _, step, value in run["metrics"]]


@pytest.mark.parametrize("tracker", TRACKERS)
def test_lines_arrive_once_through_stops_from_older_checkpoints(
    tmp_path: Path, wandb: FakeWandb, mlflow: FakeMlflow, tracker: str
) -> None:
    """Stopped after 40, resumed from 20, stopped after 30, resumed from 20: each of the steps is there once."""
    fake = {"wandb": wandb, "mlflow": mlflow}[tracker]
    for resume, last in ((False, 40), (True, 30), (True, 50)):
        run = start_run(tmp_path / "a", config(tracker), CPU, resume=resume)
        run.rewind_log(20)
        for step in range(30 if resume else 10, last + 1, 10):
            run.log("step", step, {"loss": float(step)})
        run.close()
    run = start_run(tmp_path / "a", config(tracker), CPU, resume=True)
    run.log("evaluation", 50, {"score": 0.5})
    assert lines_of(fake) == [*((step, float(step)) for step in range(10, 51, 10)), (50, 0.5)]
    assert len({start["id"] for start in wandb.starts} or mlflow.runs) == 1
    assert [line["step"] for line in run.read_log()] == [10, 20, 30, 40, 50, 50]


def test_a_run_may_change_its_tracker_and_starts_afresh_there(
    tmp_path: Path, wandb: FakeWandb, mlflow: FakeMlflow
) -> None:
    start_run(tmp_path / "a", config("wandb"), CPU, resume=False).log("step", 10, {"loss": 1.0})
    start_run(tmp_path / "a", config("mlflow"), CPU, resume=True).log("step", 20, {"loss": 2.0})
    start_run(tmp_path / "a", config("none"), CPU, resume=True).log("step", 30, {"loss": 3.0})
    assert (lines_of(wandb), lines_of(mlflow)) == ([(10, 1.0)], [(20, 2.0)])


def test_a_tracker_that_cannot_start_is_one_line(tmp_path: Path, wandb: FakeWandb, mlflow: FakeMlflow) -> None:
    wandb.broken = True
    with pytest.raises(UserError, match=r"^train\.tracker = wandb: no route to host; .*WANDB_MODE=offline.*later$"):
        start_run(tmp_path / "a", config("wandb"), CPU, resume=False)
    start_run(tmp_path / "b", config("mlflow"), CPU, resume=False)
    mlflow.runs.clear()
    with pytest.raises(UserError, match=r"^train\.tracker = mlflow: Run 'id0' not found; set MLFLOW_TRACKING_URI"):
        start_run(tmp_path / "b", config("mlflow"), CPU, resume=True)


def test_a_tracker_that_fails_later_is_one_warning(
    tmp_path: Path, wandb: FakeWandb, capsys: pytest.CaptureFixture[str]
) -> None:
    run = start_run(tmp_path / "a", config("wandb"), CPU, resume=False)
    wandb.broken = True
    for step in (10, 20):
        run.log("step", step, {"loss": 1.0})
    run.close()
    assert capsys.readouterr().err == "warning: the tracker failed (no route to host); log.jsonl has everything\n"
    assert [line["step"] for line in run.read_log()] == [10, 20]


def test_training_mirrors_its_whole_log(tmp_path: Path, tiny, wandb: FakeWandb) -> None:
    settings = tiny(epochs=1, tracker="wandb")
    frames = open_training_frames(settings)
    run, recipe = prepare_run(settings, frames, tmp_path / "a", CPU, resume=False)
    train(run, recipe, frames, frames)
    written = [json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines()]
    mirrored = [{"step": step, **values} for _, step, values in wandb.lines]
    assert mirrored == [{name: value for name, value in line.items() if name != "event"} for line in written]
    assert len(mirrored) >= 3
