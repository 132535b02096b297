"""Train and evaluate slim detectors by command, and read what their run folders hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.trace.commands import run_module, run_script
from benchmarks.trace.detectors import COMMON, DETECTORS
from benchmarks.trace.digest import digest_files, digest_named_tensors, digest_tensors, digest_value

# What of metrics.json's "meta" is a result; the rest names paths and settings.
COUNTS = ("frames", "predictions", "ground_truths")

# Other metrics of the same detections, and detections of the same weights over mirror images.
RULES = (
    "evaluation.test_time_flips=xy",
    "evaluation.within=null",
    "evaluation.metrics={breakdowns: [ONE_SHARD, OBJECT_TYPE, RANGE, SIZE, VELOCITY, ALL_BUT_SIGN], "
    "box_types: [3D, BEV, AA_2D], matcher: score_first, score_cutoffs: 20, let: {}}",
)


def trace_runs(folder: Path) -> dict[str, Any]:
    """Losses, gradients, weights, metrics and detections of each detector, and a submission of one of them.

    Needs what `trace_data` leaves in `folder`.
    """
    traces: dict[str, Any] = {name: trace_detector(folder, name) for name in DETECTORS}
    run = folder / "runs" / "learned"
    output = folder / "other_rules"
    run_script("test.py", run, *RULES, "--output", output, "--device", "cpu")
    traces["learned, other rules"] = read_evaluation(output)
    submission = folder / "submission" / "detections.bin"
    submission.parent.mkdir()
    run_script("data_tools/write_submission.py", run, "--output", submission)
    return traces | {"submission": digest_files(submission.parent)}


def trace_detector(folder: Path, name: str) -> dict[str, Any]:
    """Train and evaluate the detector `name` with its gradients watched; what its run folder holds."""
    config, gradients = write_config(folder, name), folder / f"{name}.gradients.json"
    run_module(
        "benchmarks.trace.gradients",
        gradients,
        "train.py",
        config,
        *("--runs-folder", folder / "runs", "--name", name, "--device", "cpu"),
    )
    run = folder / "runs" / name
    return {
        "log": [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()],
        "gradients": shorten(json.loads(gradients.read_text())),
        "checkpoint": read_checkpoint(run),
        "evaluation": read_evaluation(run),
    }


def write_config(folder: Path, name: str) -> Path:
    """The config file of a detector, its own settings over the common ones, with the stores of `folder`."""
    import yaml

    settings = yaml.safe_load(COMMON)
    own = yaml.safe_load(DETECTORS[name].replace("OBJECTS", str(folder / "bank/objects.arrow")))
    for section, values in own.items():
        settings[section] = settings.get(section, {}) | values
    settings["data"] |= {"train": [str(folder / "store")], "val": [str(folder / "store")]}
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def shorten(digests: list[str], most: int = 20) -> list[str]:
    """The digests of the first steps, and one of all the others where there are more."""
    return digests if len(digests) <= most else [*digests[:most], digest_value(digests[most:])]


def read_checkpoint(run: Path) -> dict[str, str]:
    """Digests of the newest checkpoint's weights, of their average if there is one, and of the optimiser's state."""
    import torch

    content = torch.load(max((run / "checkpoints").glob("*.pt")), map_location="cpu", weights_only=True)
    found = {name: digest_named_tensors(content[name]) for name in ("model", "average") if content[name] is not None}
    state = content["optimizer"]["state"]
    return found | {"optimizer": digest_tensors(state[i][name] for i in sorted(state) for name in sorted(state[i]))}


def read_evaluation(folder: Path) -> dict[str, Any]:
    """The metrics, exact, and per column of detections.parquet a digest."""
    import pyarrow.parquet as pq

    metrics = json.loads((folder / "metrics.json").read_text())
    meta = metrics.pop("meta")
    detections = pq.read_table(folder / "detections.parquet").to_pydict()
    columns = {name: digest_value(values) for name, values in detections.items()}
    return {"metrics": metrics, "counts": {name: meta[name] for name in COUNTS}, "detections": columns}
