"""Every command that writes, with small inputs, and which of its files are the same bytes in every run."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pcdet_poly.commands.main import main
from pcdet_poly.data.store.frame_store import write_store
from pcdet_poly.evaluation import write_detections, write_labels
from pcdet_poly.structures import WAYMO_CLASSES, Detections
from tests.data.records import write_segment_records
from tests.experiments.conftest import MODEL, SWEEP
from tests.experiments.conftest import frame as street
from tests.faults.running.forks import fork, wait
from tests.faults.running.small_detector import write_small_detector
from tests.faults.running.small_studies import write_detector_study
from tests.models.test_import_checkpoint import CONFIG
from tests.models.test_import_command import openpcdet


@dataclass(frozen=True)
class Writer:
    """A command that writes: `words(inputs, output)` is its command line."""

    name: str
    words: Callable[[Path, Path], list[str | Path]]
    grows: tuple[str, ...] = ()  # names, or folders, of files that say how far it is: they differ while it goes on
    varies: tuple[str, ...] = ()  # names, or folders, of files that say when and where it ran
    adds: tuple[str, ...] = ()  # folders in which a stop that is asked for leaves a whole file more: of what was done
    is_quick: bool = False  # takes some .05 s in a fork: the small count stops it, and starts it twice, as well
    keeps: bool = False  # refuses to run again where it has ended: nothing is written over a finished one
    is_slow: bool = False  # takes a second or more: the small count leaves it out


_RUN_VARIES = ("environment.json", "tensorboard")
_CURVES = ("log.jsonl", "metrics.json", "detections.parquet")

WRITERS = (
    Writer("simulate", lambda i, o: ["--output", o, "--segments", "2", "--frames", "1"]),
    Writer("preprocess", lambda i, o: [i / "records", "--output", o], grows=("manifest.json",), is_quick=True),
    Writer("import-frames", lambda i, o: [i / "npz", "--output", o], grows=("manifest.json",), is_quick=True),
    Writer("build-bank", lambda i, o: [i / "train", "--output", o / "bank.arrow"], is_quick=True),
    Writer("check", lambda i, o: [i / "train", "--html", o / "store.html"], is_slow=True),
    Writer("train", lambda i, o: [i / "tiny.yaml", "--resume", "--runs-folder", o, "--name", "run", "--device", "cpu"],
           grows=_CURVES, varies=_RUN_VARIES, adds=("checkpoints",)),
    Writer("test", lambda i, o: [i / "runs/run", "--output", o, "--device", "cpu", "evaluation.pictures=2"],
           grows=_CURVES),
    Writer("detect", lambda i, o: [i / "runs/run", i / "clouds", "--output", o, "--score", "0", "--device", "cpu"]),
    Writer("detect-onnx", lambda i, o: [i / "detector.onnx", i / "clouds", "--output", o, "--min-score", "0",
                                        "--threads", "1"], is_quick=True),
    Writer("view", lambda i, o: [i / "runs/run", "--html", o / "frames.html"], is_slow=True),
    Writer("evaluate", lambda i, o: [i / "d.parquet", i / "labels.bin", "--output", o / "m.json", "--workers", "1"],
           varies=("m.json",), is_quick=True),  # it holds the seconds that it took
    Writer("submit", lambda i, o: [i / "d.parquet", "--output", o / "predictions.bin"], is_quick=True),
    Writer("export", lambda i, o: [i / "runs/run", "--onnx", o / "model.onnx"], is_slow=True),
    Writer("import-checkpoint", lambda i, o: [i / "theirs.pth", "--config", i / "theirs.yaml", "--encoder", "hard",
                                              "--output", o / "run"], varies=_RUN_VARIES, keeps=True, is_slow=True),
    Writer("demo", lambda i, o: ["--output", o, "--workers", "1", "--device", "cpu"],
           grows=(*_CURVES, "manifest.json", "pictures"), varies=_RUN_VARIES, adds=("checkpoints",), is_slow=True),
    Writer("sweep", lambda i, o: [i / "study.yaml", "--output", o, "--workers", "1"], grows=_CURVES,
           varies=(*_RUN_VARIES, "trials", "logs"), adds=("checkpoints",), is_slow=True),
    Writer("report", lambda i, o: [i / "sweep", "--output", o, "--resamples", "5", "--frames", "1", "--points", "50",
                                   "--histogram-frames", "1"], is_slow=True),
    Writer("loss-lab", lambda i, o: ["--output", o], is_slow=True),
    Writer("paper", lambda i, o: ["--quick", "--studies", i / "studies", "--output", o], grows=("trials.csv",),
           is_slow=True),
    Writer("digits", lambda i, o: ["--quick", "--seeds", "2", "--output", o], is_slow=True),
    Writer("config", lambda i, o: ["copy", "quick", o / "mine.yaml"], keeps=True, is_slow=True),
    Writer("draw-simulation", lambda i, o: ["--output", o / "frame.png"], is_slow=True),
    Writer("compare-simulation", lambda i, o: [i / "real.bin", "--frames", "1", "--output", o / "both.png"],
           is_slow=True),
    Writer("gpu-check", lambda i, o: ["--dry-run", "--parts", "equality", "--output", o / "gpu.md"],
           grows=("gpu.json",), is_slow=True),
)  # fmt: skip


def make_inputs(folder: Path, *, with_slow: bool) -> None:
    """Write what the commands read, a trained run among it, and with_slow what the slow ones do, a finished sweep."""
    for number in range(3):
        write_segment_records(folder / "records", f"s{number}", 2, rows=16, columns=90)
    write_store(folder / "train", [street("train", number) for number in range(4)])
    write_store(folder / "val", [street(f"val{number}", 0) for number in range(2)])
    _make_clouds(folder)
    write_small_detector(folder / "detector.onnx")
    data = MODEL["data"] | {"train": [str(folder / "train")], "val": [str(folder / "val")]}
    train = MODEL["train"] | {"epochs": 2, "log_every": 1, "save_every": 1, "threads": 1}
    (folder / "tiny.yaml").write_text(json.dumps(MODEL | {"data": data, "train": train}))
    (folder / "study.yaml").write_text(json.dumps(SWEEP | {"seeds": [0], "grid": {}}))
    _call_or_fail(["train", folder / "tiny.yaml", "--runs-folder", folder / "runs", "--name", "run", "--device", "cpu"])
    if with_slow:
        _make_slow_inputs(folder, train)


def _make_clouds(folder: Path) -> None:
    """Write clouds, frames to import, and files of detections and labels."""
    for name in ("npz/a", "npz/b", "clouds"):
        (folder / name).mkdir(parents=True)
    frames = [street("a", number) for number in range(2)]
    for number, one in enumerate(frames):
        np.save(folder / f"clouds/{number}.npy", one.points[:, :5])
        labels = one.ground_truth
        names = np.array([WAYMO_CLASSES[label] for label in labels.label])
        for segment in "ab":
            np.savez(folder / f"npz/{segment}/{number}.npz", points=one.points[:, :5], boxes=labels.box, names=names)
    truths, ids = [one.ground_truth for one in frames], [one.frame_id for one in frames]
    found = [Detections(t.box, t.label, np.linspace(0.9, 0.5, len(t.box), dtype=np.float32)) for t in truths]
    write_detections(folder / "d.parquet", ids, found, WAYMO_CLASSES)
    write_labels(folder / "labels.bin", ids, truths, WAYMO_CLASSES)


def _make_slow_inputs(folder: Path, train: dict[str, Any]) -> None:
    network = openpcdet(20)
    torch.save({"model_state": network.state_dict()}, folder / "theirs.pth")
    (folder / "theirs.yaml").write_text(json.dumps(CONFIG))
    street("a", 0).points[:, :5].tofile(folder / "real.bin")
    write_detector_study(folder / "studies")
    wide = {"lower": [-51.2, -51.2, -3], "upper": [51.2, 51.2, 5], "cell": [1.6, 1.6, 8]}
    config = MODEL | {"grid": wide, "train": train | {"epochs": 1, "batch_size": 1}}
    find_small_config(folder).write_text(json.dumps(config))
    _call_or_fail(["sweep", folder / "study.yaml", "--output", folder / "sweep", "--workers", "1"])


def find_small_config(inputs: Path) -> Path:
    """Where the config is that the small demo trains, named as the demo's own."""
    return inputs / "quick.yaml"


def call(words: list[str | Path]) -> int:
    """Run a command in this process; its exit code."""
    return main([str(word) for word in words])


def _call_or_fail(words: list[str | Path]) -> None:
    with tempfile.TemporaryFile("w+") as said:
        code = wait(fork(lambda: call(words), said=said.fileno()))
        said.seek(0)
        assert code == 0, said.read()
