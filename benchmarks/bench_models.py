"""Finished runs side by side: AP per class, parameters, milliseconds per frame.

    python -m benchmarks.bench_models RUN... [--frames N] [--threads N] [--part BEV|3D] [--level 1|2] [--device D]

AP is what test.py wrote into each run's metrics.json. Time is that of a frame of the run's own data.val, from points in
memory to boxes: columns, range image where there is one, voxelization, network with norms folded, decoding. The runs
take turns frame by frame, so that a slow moment of the machine slows all of them down alike; medians.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import torch

from pcdet_poly import Detector
from pcdet_poly.engine.frames import open_frames_to_evaluate
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
    ms = times_ms(detectors, given.frames)
    print(f"{given.device}, {given.threads} thread(s), torch {torch.__version__}; {given.part} LEVEL_{given.level}\n")
    print(f"| run | parameters | ms per frame | {' | '.join(f'{name.lower()} AP / APH' for name in CLASSES)} |")
    print("|---|---|---|---|---|---|")
    for run, detector, of_run in zip(given.runs, detectors, ms, strict=True):
        parameters = sum(parameter.numel() for parameter in detector.model.parameters() if parameter.requires_grad)
        metrics = json.loads((run / "metrics.json").read_text())[given.part]
        aps = [
            ap_aph(metrics, f"OBJECT_TYPE_TYPE_{name}_LEVEL_{given.level}", name in detector.class_names)
            for name in CLASSES
        ]
        print(f"| {run.name} | {parameters:,} | {of_run:.0f} | {' | '.join(aps)} |")


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
