"""train.py and test.py as processes: Ctrl-C, a run folder that is all there is, mistakes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pcdet_poly.commands.main import main
from pcdet_poly.config.load import dump_config
from pcdet_poly.engine.processes import build_rerun_command
from pcdet_poly.evaluation import read_detections
from pcdet_poly.files import read_checked_json

ROOT = Path(__file__).resolve().parent.parent.parent


def command(script: str, *words: str | Path) -> list[str]:
    return [sys.executable, str(ROOT / script), *map(str, words)]


def run(script: str, *words: str | Path, cwd: Path) -> str:
    """Run a script as a process of its own and return what it printed."""
    result = subprocess.run(command(script, *words), cwd=cwd, capture_output=True, text=True, timeout=3600)
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout


@pytest.fixture
def call(trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Call a command in this process and in the folder of `trained`: exit code and lines on stderr."""

    def called(script: str, *words: str | Path) -> tuple[int, list[str]]:
        monkeypatch.chdir(trained)
        monkeypatch.setattr(sys, "argv", [script, *map(str, words)])
        capsys.readouterr()
        code = main([script.removesuffix(".py"), *map(str, words)])
        return code, capsys.readouterr().err.splitlines()

    return called


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny) -> Path:
    """A working folder with tiny.yaml and the run `runs/tiny` made from it."""
    folder = tmp_path_factory.mktemp("commands")
    (folder / "tiny.yaml").write_text(dump_config(tiny()))
    run("train.py", "tiny.yaml", "--device", "cpu", "evaluation.pictures=2", "train.epochs=2", cwd=folder)
    return folder


def test_a_run_gets_the_configs_name_and_options_may_stand_between_overrides(trained: Path) -> None:
    assert (trained / "runs/tiny/checkpoints/step_00000006.pt").is_file()
    assert len(list((trained / "runs/tiny/pictures").glob("tiny_*.png"))) == 2
    start = json.loads((trained / "runs/tiny/environment.json").read_text())["starts"][0]
    assert "tiny.yaml --device cpu evaluation.pictures=2" in start["command"]


def test_a_run_folder_alone_can_be_evaluated_anywhere(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "runs/tiny", tmp_path / "moved")
    before = read_checked_json(tmp_path / "moved/metrics.json")
    for name in ("metrics.json", "detections.parquet"):
        (tmp_path / "moved" / name).unlink()
    shutil.rmtree(tmp_path / "moved/pictures")
    assert "VEHICLE" in run("test.py", "moved", cwd=tmp_path)
    after = read_checked_json(tmp_path / "moved/metrics.json")
    ours, theirs = (metrics["meta"].pop("provenance") for metrics in (after, before))
    assert ours | {"commit": ""} == theirs | {"commit": ""}  # a checkout may change between the two
    assert after == before | {"meta": before["meta"] | {"run": "moved"}}
    assert len(list((tmp_path / "moved/pictures").glob("*.png"))) == 2
    found = read_detections(tmp_path / "moved/detections.parquet")
    assert (len(found.frame_ids), found.class_names) == (5, ("VEHICLE", "PEDESTRIAN", "CYCLIST"))


def test_other_data_checkpoint_settings_and_output(call, store: Path, tmp_path: Path) -> None:
    from pcdet_poly.data.store.frame_store import write_store
    from tests.tiny import frame

    other = tmp_path / "other"
    write_store(other, [replace(frame(number), segment="more") for number in range(5)])
    options = ["--data", store, other, "--checkpoint", "best", "--output", tmp_path]
    assert call("test.py", "runs/tiny", *options, "decode.score=0.99")[0] == 0
    metrics = read_checked_json(tmp_path / "metrics.json")
    assert metrics["meta"]["data"] == [str(store), str(other)]
    assert (metrics["meta"]["frames"], metrics["meta"]["predictions"]) == (10, 0)


def test_ctrl_c_saves_and_says_how_to_go_on(trained: Path, call, tmp_path: Path) -> None:
    words = [
        "tiny.yaml",
        "train.epochs=400",
        "train.evaluate_every=0",
        "train.save_every=400",
        "--runs-folder",
        tmp_path,
    ]
    # In a terminal Ctrl-C goes to all processes of the command, the one that reads frames included.
    process = subprocess.Popen(
        command("train.py", *words, "data.workers=1"),
        cwd=trained,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    log = tmp_path / "tiny/log.jsonl"
    deadline_s = time.monotonic() + 240  # the kernels may have to be compiled first
    while not (log.exists() and log.stat().st_size) and time.monotonic() < deadline_s:
        time.sleep(0.05)
    code, lines = call("train.py", *words, "--resume")
    assert (code, len(lines)) == (2, 1)
    assert f"another training is writing here (process {process.pid} on " in lines[0]
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=3600)
    assert process.returncode == 130
    *progress, last = errors.strip().splitlines()
    assert last.startswith("interrupted: saved; go on with: ")
    assert last.endswith("--resume")
    # Python says so where the signal met a finalizer, or a worker that was handing a batch over; the loop still stops.
    if "Exception ignored" not in errors and "resource_sharer" not in errors:
        told = ("train ", "warning: data.val: ")
        assert all(line.startswith(told) for line in progress), errors
    assert not (tmp_path / "tiny/.lock").exists()
    (checkpoint,) = (tmp_path / "tiny/checkpoints").iterdir()
    steps = int(checkpoint.stem.removeprefix("step_"))
    assert 2 <= steps < 1200
    code, lines = call("train.py", *words)
    assert (code, len(lines)) == (2, 1)
    assert lines[0].endswith("already there; go on with --resume, or choose another --name")
    code, lines = call("train.py", *words, "train.seed=7", "--resume")
    assert (code, len(lines)) == (2, 1)
    assert "was started with train.seed = 0, now train.seed = 7; resume with the settings" in lines[0]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["train.py", "tiny.yaml", "data.train=[]", "--name", "x"], "data.train: no store given; add data.train="),
        (["train.py", "tiny.yaml", "data.train=[nowhere]", "--name", "x"], "nowhere"),
        (["train.py", "tiny.yaml", "--device", "cuda", "--name", "x"], "--device cuda: torch sees no GPU"),
        (["test.py", "runs/nothing"], "runs/nothing: not a run (no config.yaml in it); runs in runs: tiny"),
        (["test.py", "runs/tiny", "--checkpoint", "none.pt"], "none.pt: no such checkpoint"),
        (["test.py", "runs/tiny", "--data", "nowhere"], "nowhere"),
        (["test.py", "runs/tiny", "--weights", "ema"], "holds no averaged weights (the run had no train.ema)"),
        (["test.py", "runs/tiny", "data.val=[]"], "data.val: no store given; add --data"),
        (["test.py", "runs/tiny", "model.head_width=8"], "made by another model: head."),
        (["test.py", "runs/tiny", "decode.scor=1"], "did you mean 'score'"),
    ],
)
def test_mistakes_get_one_line(
    call, monkeypatch: pytest.MonkeyPatch, trained: Path, words: list[str], says: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    code, lines = call(*words)
    assert (code, len(lines)) == (2, 1)
    assert says in lines[0]
    assert [path.name for path in (trained / "runs").iterdir()] == ["tiny"]


@pytest.mark.parametrize(
    ("started", "again"),
    [
        (["train.py", "a.yaml"], "python train.py a.yaml --resume"),
        (["/x/pcdet_poly/__main__.py", "train", "a.yaml"], "python -m pcdet_poly train a.yaml --resume"),
        (["/x/bin/pcdet-poly", "train", "a b.yaml", "--resume"], "pcdet-poly train 'a b.yaml' --resume"),
    ],
)
def test_the_way_to_go_on_is_the_way_it_was_started(
    started: list[str], again: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", started)
    monkeypatch.setattr(sys, "executable", "/venv/bin/python")
    assert build_rerun_command("--resume") == again


@pytest.mark.parametrize("script", ["train.py", "test.py"])
def test_the_commands_stay_short(script: str) -> None:
    assert len((ROOT / script).read_text().splitlines()) < 60
