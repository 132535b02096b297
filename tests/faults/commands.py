"""Every command that writes, with small inputs, and which of its files are the same bytes in every run."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pcdet_poly.commands.main import main
from pcdet_poly.data.store.frame_store import write_store
from pcdet_poly.evaluation import write_detections, write_labels
from pcdet_poly.structures import WAYMO_CLASSES, Detections
from tests.data.records import write_segment_records
from tests.experiments.conftest import MODEL, SWEEP
from tests.experiments.conftest import frame as street


@dataclass(frozen=True)
class Writer:
    """A command that writes: `words(inputs, output)` is its command line."""

    name: str
    words: Callable[[Path, Path], list[str | Path]]
    grows: tuple[str, ...] = ()  # names, or folders, of files that say how far it is: they differ while it goes on
    varies: tuple[str, ...] = ()  # names, or folders, of files that say when and where it ran
    starts_programs: bool = False  # new interpreters, each of which takes seconds
    is_slow: bool = False  # or so: the small count leaves them out


_RUN_VARIES = ("environment.json", "tensorboard")
_CURVES = ("log.jsonl", "metrics.json", "detections.parquet")

WRITERS = (
    Writer("simulate", lambda i, o: ["--output", o, "--segments", "2", "--frames", "1"]),
    Writer("preprocess", lambda i, o: [i / "records", "--output", o], grows=("manifest.json",)),
    Writer("import-frames", lambda i, o: [i / "npz", "--output", o], grows=("manifest.json",)),
    Writer("build-bank", lambda i, o: [i / "train", "--output", o / "bank.arrow"]),
    Writer("train", lambda i, o: [i / "tiny.yaml", "--resume", "--runs-folder", o, "--name", "run", "--device", "cpu"],
           grows=_CURVES, varies=_RUN_VARIES),
    Writer("test", lambda i, o: [i / "runs/run", "--output", o, "--device", "cpu", "evaluation.pictures=2"],
           grows=_CURVES),
    Writer("detect", lambda i, o: [i / "runs/run", i / "clouds", "--output", o, "--score", "0", "--device", "cpu"]),
    Writer("evaluate", lambda i, o: [i / "d.parquet", i / "labels.bin", "--output", o / "m.json", "--workers", "1"],
           varies=("m.json",)),  # it holds the seconds that it took
    Writer("submit", lambda i, o: [i / "d.parquet", "--output", o / "predictions.bin"]),
    Writer("export", lambda i, o: [i / "runs/run", "--onnx", o / "model.onnx"], is_slow=True),
    Writer("sweep", lambda i, o: [i / "study.yaml", "--output", o, "--workers", "1"], grows=_CURVES,
           varies=(*_RUN_VARIES, "trials", "logs"), starts_programs=True, is_slow=True),
    Writer("report", lambda i, o: [i / "sweep", "--output", o, "--resamples", "5", "--frames", "1", "--points", "50",
                                   "--histogram-frames", "1"], is_slow=True),
)  # fmt: skip


def make_inputs(folder: Path, *, with_sweep: bool) -> None:
    """Write what the commands read, a trained run among it, and with_sweep a finished sweep."""
    for number in range(3):
        write_segment_records(folder / "records", f"s{number}", 2, rows=16, columns=90)
    write_store(folder / "train", [street("train", number) for number in range(4)])
    write_store(folder / "val", [street(f"val{number}", 0) for number in range(2)])
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
    data = MODEL["data"] | {"train": [str(folder / "train")], "val": [str(folder / "val")]}
    train = MODEL["train"] | {"epochs": 2, "log_every": 1, "save_every": 1, "threads": 1}
    (folder / "tiny.yaml").write_text(json.dumps(MODEL | {"data": data, "train": train}))
    (folder / "study.yaml").write_text(json.dumps(SWEEP | {"seeds": [0], "grid": {}}))
    call(["train", folder / "tiny.yaml", "--runs-folder", folder / "runs", "--name", "run", "--device", "cpu"])
    if with_sweep:
        call(["sweep", folder / "study.yaml", "--output", folder / "sweep", "--workers", "1"])


def call(words: list[str | Path]) -> None:
    """Run a command in this process, without a word."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = main([str(word) for word in words])
    assert code == 0, said.getvalue()
