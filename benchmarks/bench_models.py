"""Finished runs side by side: AP per class, parameters, milliseconds per frame.

    python -m benchmarks.bench_models RUN... [--frames N] [--threads N] [--part BEV|3D] [--level 1|2] [--device D]

AP is what test.py wrote into each run's metrics.json. Time is that of a frame of the run's own data.val, from points in
memory to boxes: columns, range image where there is one, voxelization, network with norms folded, decoding. The runs
take turns frame by frame, so that a slow moment of the machine slows all of them down alike; medians.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from pcdet_poly import Detector
from pcdet_poly.config.schema import Config
from pcdet_poly.engine.frames import open_frames_to_evaluate
from pcdet_poly.engine.provenance import fingerprint_store
from pcdet_poly.evaluation.metrics_file import read_metrics
from pcdet_poly.structures import Frame

CLASSES = ("VEHICLE", "PEDESTRIAN", "CYCLIST")


def main() -> None:
    """Load, time, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", metavar="RUN", nargs="+", type=Path)
    parser.add_argument("--frames", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--part", choices=("BEV", "3D"), default="BEV")
    parser.add_argument("--level", type=int, choices=(1, 2), default=1)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    detectors = [Detector.load(run, device=given.device) for run in given.runs]
    tables = [read_metrics(run / "metrics.json")[0] for run in given.runs]
    for line in tell_differences(given.runs, [of_run.config for of_run in detectors], [one.meta for one in tables]):
        print(f"warning: {line}", file=sys.stderr)
    ms = times_ms(detectors, given.frames)
    print(f"{given.device}, {given.threads} thread(s), torch {torch.__version__}; {given.part} LEVEL_{given.level}\n")
    print(f"| run | parameters | ms per frame | {' | '.join(f'{name.lower()} AP / APH' for name in CLASSES)} |")
    print("|---|---|---|---|---|---|")
    for run, detector, of_run, table in zip(given.runs, detectors, ms, tables, strict=True):
        parameters = sum(parameter.numel() for parameter in detector.model.parameters() if parameter.requires_grad)
        aps = [
            ap_aph(table[given.part], f"OBJECT_TYPE_TYPE_{name}_LEVEL_{given.level}", name in detector.class_names)
            for name in CLASSES
        ]
        print(f"| {run.name} | {parameters:,} | {of_run:.0f} | {' | '.join(aps)} |")


def tell_differences(runs: list[Path], configs: list[Config], metas: list[Any]) -> Iterator[str]:
    """Yield what keeps the AP of the runs from being comparable: data, area, classes; and data that has changed since.

    Args:
        runs: folders.
        configs: of the runs.
        metas: what the runs' metrics.json say of themselves.
    """
    for run, config, meta in zip(runs, configs, metas, strict=True):
        made_of = {store.fingerprint for store in meta.provenance.stores}
        if made_of and made_of != set(map(fingerprint_store, config.data.val)):
            yield f"{run}/metrics.json: of other data than its data.val now is; test the run again"
    for run, config, meta in list(zip(runs, configs, metas, strict=True))[1:]:
        for name, here, first in (
            ("data", meta.provenance.data_hash, metas[0].provenance.data_hash),
            ("evaluation.within", meta.within, metas[0].within),
            ("data.classes", config.data.classes, configs[0].data.classes),
            ("evaluation.metrics", config.evaluation.metrics, configs[0].evaluation.metrics),
        ):
            if here != first:
                yield f"{run} and {runs[0]} differ in {name}, so their AP cannot be compared"


def times_ms(detectors: list[Detector], num_frames: int) -> list[float]:
    """Median time of a frame for each detector; the first frame warms up and is not counted."""
    datasets = [open_frames_to_evaluate(detector.config) for detector in detectors]
    seconds: list[list[float]] = [[] for _ in detectors]
    for number in range(min(num_frames + 1, *map(len, datasets))):
        for detector, dataset, of_run in zip(detectors, datasets, seconds, strict=True):
            of_run.append(seconds_of(detector, dataset[number]))
    return [1e3 * statistics.median(of_run[1:]) for of_run in seconds]


def seconds_of(detector: Detector, frame: Frame) -> float:
    """Time from a frame in memory to detections on the host."""
    begin = time.perf_counter()
    detector.detect([frame])
    return time.perf_counter() - begin


def ap_aph(metrics: dict[str, dict[str, float]], shard: str, detected: bool) -> str:
    """Per cent, "AP / APH"; "-" where the run does not look for that class."""
    return f"{100 * metrics[shard]['ap']:.1f} / {100 * metrics[shard]['aph']:.1f}" if detected else "-"


if __name__ == "__main__":
    main()
