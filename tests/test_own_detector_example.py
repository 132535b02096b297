"""examples/my_detector, copied elsewhere: imports frames, trains, resumes and sweeps by PYTHONPATH and --plugin."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.warm_python import WarmPython

ROOT = Path(__file__).resolve().parents[1]
SMALL = ("data.workers=0", "evaluation.pictures=0", "train.threads=1")
TRAIN = (
    *("train", "my_detector.yaml", "--device", "cpu", *SMALL),
    *("train.steps=null", "train.epochs=2", "train.log_every=1"),
)


def write_frames(folder: Path) -> None:
    """Four frames of ground and two cars, as the example's reader reads them."""
    folder.mkdir(parents=True)
    for number in range(4):
        rng = np.random.default_rng(number)
        ground = np.column_stack([rng.uniform(-20, 20, (300, 2)), rng.normal(0, 0.02, 300), np.zeros(300)])
        center = np.column_stack([rng.uniform(-15, 15, (2, 2)), np.full(2, 0.9)])
        on_cars = np.repeat(center, 40, axis=0) + rng.uniform(-0.5, 0.5, (80, 3))
        rows = np.concatenate([ground, np.column_stack([on_cars, np.ones(80)])])
        np.savetxt(folder / f"{number:03d}.csv", rows, delimiter=",", fmt="%.3f")
        boxes = [f"VEHICLE,{x:.3f},{y:.3f},{z:.3f},4.5,2,1.6,0.3\n" for x, y, z in center]
        (folder / f"{number:03d}.boxes.csv").write_text("".join(boxes))


def call(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `pcdet-poly` in the copy of the example, which is on PYTHONPATH."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pcdet_poly", *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def succeed(folder: Path, *words: str) -> str:
    """Run it and return what it printed."""
    result = call(folder, *words)
    assert result.returncode == 0, result.stderr
    return result.stdout


def call_fork(python: WarmPython, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Do the same in a fork, which has its imports already."""
    program = "import sys; from pcdet_poly.commands.main import main; sys.exit(main())"
    return python.run(program, *words, folder=folder, path=[folder, ROOT])


def fail(python: WarmPython, folder: Path, *words: str) -> str:
    """Run it in a fork and return the one line of its mistake."""
    result = call_fork(python, folder, *words)
    assert (result.returncode, result.stderr.count("\n")) == (2, 1), result.stderr
    return result.stderr.strip()


@pytest.fixture(scope="module")
def python() -> Iterator[WarmPython]:
    """Python with the commands that mistakes are told to, but without the example."""
    path = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
    warm = WarmPython(path + "import torch._dynamo, pcdet_poly.commands.data.import_frames, pcdet_poly.engine.train\n")
    yield warm
    warm.close()


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the example with a store that its own reader has filled."""
    folder = tmp_path_factory.mktemp("example") / "copy"
    shutil.copytree(ROOT / "examples" / "my_detector", folder, ignore=shutil.ignore_patterns("__pycache__"))
    write_frames(folder / "csv" / "segment")
    reader = "my_detector.reader:CsvFolder"
    printed = succeed(folder, "import-frames", "csv/segment", "--reader", reader, "--output", "stores/mine")
    assert "1 segments, 4 frames, 1520 points, objects: 8 VEHICLE" in printed
    return folder


def read_steps(run: Path) -> list[dict[str, float]]:
    """The lines of the log."""
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_it_trains_and_resumes_to_the_same_numbers(example: Path, python: WarmPython) -> None:
    run = example / "runs" / "my_detector"
    succeed(example, *TRAIN, "--plugin", "my_detector")
    first = read_steps(run)
    assert [line["step"] for line in first] == [1, 2, 3, 4, 4]
    newest = sorted((run / "checkpoints").glob("*.pt"))[-1]
    newest.unlink()
    mistake = fail(python, example, *TRAIN, "--resume")
    assert "a config alone makes no code run: add --plugin my_detector.detector" in mistake
    resumed = call_fork(python, example, *TRAIN, "--resume", "--plugin", "my_detector")
    assert resumed.returncode == 0, resumed.stderr
    assert newest.is_file()
    assert read_steps(run) == first
    starts = json.loads((run / "environment.json").read_text())["starts"]
    assert [start["plugins"] for start in starts] == [["my_detector"], ["my_detector"]]
    mistake = fail(python, example, "test", "runs/my_detector")
    assert mistake.startswith("error: runs/my_detector/config.yaml:")
    assert "add --plugin my_detector.detector" in mistake


@pytest.mark.slow
def test_a_sweep_passes_the_plugin_on_to_its_trials(example: Path, python: WarmPython) -> None:
    words = ("sweep", "sweep.yaml", "--workers", "1", *SMALL, "train.steps=2")
    assert "arm peak-weight1: " in fail(python, example, *words)
    succeed(example, *words, "--plugin", "my_detector")
    ends = [json.loads(path.read_text()) for path in (example / "sweeps" / "sweep" / "trials").glob("*.json")]
    assert [end["status"] for end in ends] == ["done", "done"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--plugin", "my_detectr"), "error: --plugin my_detectr: no such module; install its package, or put"),
        (
            ("--plugin", "my_detector", "model.kind=my_detector.detector:HeightMp"),
            "my_detector.detector has no 'HeightMp'; did you mean 'HeightMap'?",
        ),
        (("--plugin", "my_detector", "model.widht=3"), "model.widht: no such setting; did you mean 'width'?"),
        (("--plugin", "my_detector", "classification.peak_weight=-1"), "classification.peak_weight = -1: "),
    ],
)
def test_mistakes_get_one_line(example: Path, python: WarmPython, words: tuple[str, ...], expected: str) -> None:
    assert expected in fail(python, example, "train", "my_detector.yaml", *words)


@pytest.mark.parametrize(
    ("reader", "expected"),
    [
        ("cvs", "error: --reader cvs: no such reader; there are 'npz', 'waymo'"),
        ("my_detector.reader:CsvFoldr", "my_detector.reader has no 'CsvFoldr'; did you mean 'CsvFolder'?"),
        ("my_detector.reader:read_segment", "is a function, where a pcdet_poly.config.kinds.ReaderKind(...) is needed"),
        ("my_detector.nowhere:Reader", "my_detector.nowhere: no such module"),
    ],
)
def test_mistakes_with_readers_get_one_line(example: Path, python: WarmPython, reader: str, expected: str) -> None:
    words = ("import-frames", "csv/segment", "--reader", reader, "--output", "stores/other")
    assert expected in fail(python, example, *words)
