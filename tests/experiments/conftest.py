"""A study small enough for tests: three arms, two seeds, a detector of a thousand weights, four validation segments."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from pcdet_poly.commands.main import call_command
from pcdet_poly.data.store.frame_store import write_store
from pcdet_poly.experiments.report.detector_report import DetectorReport, ReportSizes, build_report
from pcdet_poly.experiments.report.finished_sweep import DetectorRuns, FinishedSweep
from pcdet_poly.experiments.report.metrics import DetectorMetrics
from pcdet_poly.experiments.report.read_sweep import read_finished_sweep
from pcdet_poly.experiments.sweep.folder import SweepFolder, prepare_folder
from pcdet_poly.experiments.sweep.schema import list_trials, read_sweep
from pcdet_poly.experiments.sweep.trial import begin_trial, build_train_command
from pcdet_poly.structures import Frame, GroundTruth

MODEL = {
    "data": {"workers": 0},
    "grid": {"lower": [-12.8, -12.8, -3], "upper": [12.8, 12.8, 5], "cell": [0.8, 0.8, 8]},
    "model": {
        "encoder_channels": [4, 4],
        "backbone": {"layers": [1], "strides": [1], "channels": [8], "up_strides": [1], "up_channels": [8]},
        "head_width": 8,
    },
    "decode": {"score": 0.0, "top_k": 8},
    "train": {"epochs": 4, "batch_size": 2, "log_every": 2, "learning_rate": 0.01, "norm_momentum": 0.1},
    "evaluation": {
        "pictures": 0,
        "metrics": {"iou_thresholds": [0.05, 0.05, 0.05, 0.05], "breakdowns": ["OBJECT_TYPE", "RANGE"]},
    },
}
SWEEP = {
    "models": {"tiny": "tiny.yaml"},
    "arms": [
        {"name": "focal"},
        {"name": "drop1", "overrides": {"classification.num_terms": 1}, "expect": "worse"},
    ],
    "grid": {"classification.epsilon": [1]},
    "seeds": [0, 1],
    "baseline": "focal",
}


def frame(segment: str, number: int) -> Frame:
    """Ground with two cars, a walker and a cyclist, all with points on them."""
    rng = np.random.default_rng([number, *segment.encode()])
    size = np.array([[4.5, 2, 1.6]] * 2 + [[0.8, 0.8, 1.7], [1.8, 0.8, 1.7]])
    center = np.column_stack([rng.uniform(-10, 10, (4, 2)), np.full(4, 0.9)])
    box = np.column_stack([center, size, rng.uniform(-3, 3, 4)]).astype(np.float32)
    ground = np.column_stack([rng.uniform(-12, 12, (200, 2)), rng.normal(0, 0.02, 200)])
    on_objects = np.repeat(center, 30, axis=0) + rng.uniform(-0.4, 0.4, (120, 3))
    points = np.zeros((320, 8), np.float32)
    points[:, :3] = np.concatenate([ground, on_objects])
    points[:, 6:] = 1
    labels = GroundTruth(
        box=box,
        label=np.array([0, 0, 1, 3]),
        level=np.array([1, 1, 2, 1]),
        num_points=np.full(4, 30),
        track=np.array([f"object{i}" for i in range(4)]),
        speed=np.zeros((4, 2), np.float32),
    )
    return Frame(points, labels, np.eye(4), timestamp_us=100_000 * number, segment=segment)


@pytest.fixture(scope="session")
def sweep_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """study.yaml, beside the config and the stores that it needs."""
    folder = tmp_path_factory.mktemp("study")
    write_store(folder / "train", [frame("train", number) for number in range(8)])
    write_store(folder / "val", [frame(f"val{s}", number) for s in range(4) for number in range(2)])
    data = MODEL["data"] | {"train": [str(folder / "train")], "val": [str(folder / "val")]}
    (folder / "tiny.yaml").write_text(yaml.safe_dump(MODEL | {"data": data}))
    (folder / "study.yaml").write_text(yaml.safe_dump(SWEEP))
    return folder / "study.yaml"


def train_here(folder: SweepFolder, name: str) -> None:
    """What a trial's process does, in this one."""
    begin_trial(folder, name)
    words = build_train_command(folder, name, num_gpus=0)
    assert call_command("train", words[words.index("train") + 1 :]) == 0
    folder.record_end(name, 0, 1.0)


@pytest.fixture(scope="session")
def finished_sweep(sweep_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study's folder with all trials done. Not to be changed: copy it with `copied`."""
    folder = SweepFolder(tmp_path_factory.mktemp("sweeps") / "study")
    sweep = read_sweep(sweep_file)
    trials = list_trials(sweep, sweep_file.parent)
    prepare_folder(folder, sweep, trials)
    for trial in trials:
        train_here(folder, trial.name)
    return folder.path


@pytest.fixture
def copied(finished_sweep: Path, tmp_path: Path) -> Callable[[], SweepFolder]:
    """Make a copy of the finished sweep to spoil."""

    def copy() -> SweepFolder:
        shutil.copytree(finished_sweep, tmp_path / "study")
        return SweepFolder(tmp_path / "study")

    return copy


@pytest.fixture(scope="session")
def sweep_runs(finished_sweep: Path) -> FinishedSweep:
    """What the report reads of the finished sweep."""
    return read_finished_sweep(SweepFolder(finished_sweep))


@pytest.fixture(scope="session")
def detector(sweep_runs: FinishedSweep) -> DetectorRuns:
    """The runs of the study's only detector."""
    return sweep_runs.detectors[0]


@pytest.fixture(scope="session")
def metrics(detector: DetectorRuns) -> DetectorMetrics:
    """Its metrics, with few resamplings."""
    return DetectorMetrics(detector, resamples=30)


@pytest.fixture(scope="session")
def small_report(detector: DetectorRuns) -> DetectorReport:
    """Its report, of few resamplings, frames and points."""
    return build_report(detector, ReportSizes(resamples=10, histogram_frames=4, shown_frames=2, shown_points=100))
