"""Waymo's metrics: our time per frame and box type, against Waymo's own op in the same run.

    python -m benchmarks.bench_evaluation [--official PYTHON] [--case FILE.npz] [--validation] [--threads N]

Without --case, 200 made-up frames of 100 objects and 300 predictions, type and range breakdowns. The op (with
--official: see requirements-official.txt) uses all cores; its CPU time is compared with ours on one core. The
op gets the first --official-frames frames: its time is linear in frames. --validation adds a set of the size of
Waymo's validation set: 39,987 frames, 36 objects and 200 predictions each, and the peak memory.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from pcdet_poly.config.sections.evaluation import MetricsConfig
from pcdet_poly.evaluation.box_tables import EvaluationSet, Objects, Predictions
from pcdet_poly.evaluation.evaluator import evaluate_set
from pcdet_poly.evaluation.files.flat_arrays import read_flat_arrays
from pcdet_poly.evaluation.waymo_op.comparison import find_largest_difference, run_waymo_op

SIZES = np.array([[4.6, 2.0, 1.7], [0.9, 0.9, 1.75], [0.6, 0.7, 0.8], [1.8, 0.8, 1.7]])
SHARES = (0.42, 0.28, 0.25, 0.05)  # of types
VALIDATION_FRAMES, VALIDATION_OBJECTS, VALIDATION_PREDICTIONS = 39_987, 36, 200


def make_up_set(num_frames: int, num_objects: int, num_predictions: int, seed: int = 0) -> EvaluationSet:
    """Make up frames: objects over 150 m x 150 m, predictions of which half are noisy copies of one.

    Args:
        num_frames: number of frames.
        num_objects: in each frame.
        num_predictions: in each frame.
        seed: of the random numbers.

    Returns:
        The set of both sides.
    """
    rng = np.random.default_rng(seed)

    def place_boxes(kind: np.ndarray) -> np.ndarray:
        num = len(kind)
        centre = np.c_[rng.uniform(-75, 75, (num, 2)), rng.normal(0, 0.5, num)]
        return np.c_[centre, SIZES[kind] * rng.uniform(0.9, 1.1, (num, 3)), rng.uniform(-np.pi, np.pi, num)]

    kind = rng.choice(4, num_frames * num_objects, p=SHARES)
    box = place_boxes(kind)
    # Each frame's predictions copy its own objects (half of them) or none.
    source = rng.integers(0, num_objects, (num_frames, num_predictions)) + np.arange(num_frames)[:, None] * num_objects
    source = source.ravel()
    copied = rng.random(len(source)) < 0.5
    found_kind = np.where(copied, kind[source], rng.choice(4, len(source), p=SHARES))
    noise = rng.normal(0, 1, (len(source), 7)) * [0.2, 0.1, 0.1, 0.15, 0.08, 0.08, 0.1]
    found = np.where(copied[:, None], box[source] + noise, place_boxes(found_kind))
    num = len(kind)
    return EvaluationSet(
        Predictions(
            frame=np.repeat(np.arange(num_frames), num_predictions),
            box=found.astype(np.float32),
            type=(found_kind + 1).astype(np.uint8),
            score=np.clip(rng.beta(1, 3, len(source)) + 0.3 * copied, 0, 1).astype(np.float32),
            in_no_label_zone=rng.random(len(source)) < 0.02,
            image=np.zeros(len(source), np.uint8),
        ),
        Objects(
            frame=np.repeat(np.arange(num_frames), num_objects),
            box=box.astype(np.float32),
            type=(kind + 1).astype(np.uint8),
            level=rng.integers(1, 3, num).astype(np.uint8),
            speed=np.zeros((num, 2), np.float32),
            image=np.zeros(num, np.uint8),
            camera=np.full(num, -1, np.int8),
        ),
        tuple(map(str, range(num_frames))),
        ("",) * num_frames,
    )


def select_first_frames(boxes: EvaluationSet, num: int) -> EvaluationSet:
    """Return the first `num` frames."""
    predictions = boxes.predictions[boxes.predictions.frame < num]
    return EvaluationSet(
        predictions,
        boxes.objects[boxes.objects.frame < num],
        boxes.frames[:num],
        boxes.segments[:num],
    )


def measure_cpu_s(boxes: EvaluationSet, cfg: MetricsConfig, repeat: int = 5) -> float:
    """Return the best CPU time of one evaluation on one core, kernels loaded.

    Args:
        boxes: what is evaluated.
        cfg: what is computed.
        repeat: number of evaluations.

    Returns:
        Seconds.
    """
    times = []
    for _ in range(repeat):
        start = time.process_time()
        evaluate_set(boxes, cfg)
        times.append(time.process_time() - start)
    return min(times)


def print_comparison(boxes: EvaluationSet, official: str | None, official_frames: int) -> None:
    """Print one row per choice of box types.

    Args:
        boxes: what is evaluated.
        official: interpreter with Waymo's package; None measures ours alone.
        official_frames: number of frames that Waymo's op gets.
    """
    frames = boxes.num_frames
    print(f"{frames} frames, {len(boxes.objects)} objects, {len(boxes.predictions)} predictions; CPU ms per frame")
    print("| box types | ours, one core | Waymo's op | ratio | largest difference |\n|---|---:|---:|---:|---:|")
    for box_types in (("3D",), ("BEV",), ("3D", "BEV")):
        cfg = MetricsConfig(box_types=box_types)
        evaluate_set(select_first_frames(boxes, 1), cfg)
        ours_ms = 1e3 * measure_cpu_s(boxes, cfg) / frames
        row = ["", "", ""]
        if official:
            part = select_first_frames(boxes, official_frames)
            results = run_waymo_op(part, cfg, official)
            theirs_ms = 1e3 * sum(result.cpu_seconds for result in results.values()) / part.num_frames
            worst, _ = find_largest_difference(evaluate_set(part, cfg), results)
            row = [f"{theirs_ms:.1f}", f"{theirs_ms / ours_ms:.0f}", f"{worst:.1e}"]
        print(f"| {' + '.join(box_types)} | {ours_ms:.3f} | {' | '.join(row)} |", flush=True)


def print_growth() -> None:
    """Print how the time grows with frames and with boxes."""
    print("\n| frames | objects | predictions | CPU ms per frame, 3D |\n|---:|---:|---:|---:|")
    for frames, scale in ((50, 1), (100, 1), (400, 1), (50, 2), (50, 4)):
        boxes = make_up_set(frames, 100 * scale, 300 * scale)
        ms = 1e3 * measure_cpu_s(boxes, MetricsConfig(box_types=("3D",))) / frames
        print(f"| {frames} | {100 * scale} | {300 * scale} | {ms:.3f} |")


def run_validation(threads: int) -> None:
    """Measure in a process of its own, whose peak memory is that of this job."""
    code = f"from benchmarks.bench_evaluation import measure_validation; measure_validation({threads})"
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).resolve().parent.parent, check=True)


def measure_validation(threads: int) -> None:
    """Print seconds and peak memory of a validation set, 3D and BEV, type and range breakdowns."""
    evaluate_set(make_up_set(1, VALIDATION_OBJECTS, VALIDATION_PREDICTIONS))
    boxes = build_validation_set()
    start = time.perf_counter()
    evaluate_set(boxes, threads=threads)
    seconds = time.perf_counter() - start
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"\nvalidation size, {boxes.num_frames} frames, {threads} threads: {seconds:.1f} s, peak {peak_gb:.2f} GB")


def build_validation_set(parts: int = 27) -> EvaluationSet:
    """Make up as many frames as Waymo's validation set has.

    They are filled in part by part, which keeps the memory of making them small.
    """
    frames = VALIDATION_FRAMES // parts
    assert frames * parts == VALIDATION_FRAMES
    tables: dict[type, dict[str, np.ndarray]] = {Predictions: {}, Objects: {}}
    for k in range(parts):
        part = make_up_set(frames, VALIDATION_OBJECTS, VALIDATION_PREDICTIONS, seed=k)
        for rows in (part.predictions, part.objects):
            for name, column in replace(rows, frame=rows.frame + k * frames).columns().items():
                shape = (parts * len(column), *column.shape[1:])
                whole = tables[type(rows)].setdefault(name, np.empty(shape, column.dtype))
                whole[k * len(column) : (k + 1) * len(column)] = column
    names = tuple(map(str, range(VALIDATION_FRAMES)))
    return EvaluationSet(Predictions(**tables[Predictions]), Objects(**tables[Objects]), names, ("",) * len(names))


def main() -> int:
    """Print the tables asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--official", metavar="PYTHON", help="interpreter with Waymo's package")
    parser.add_argument("--official-frames", metavar="N", type=int, default=40)
    parser.add_argument("--case", metavar="FILE", type=Path, help="an .npz with both sides in place of made-up frames")
    parser.add_argument("--validation", action="store_true", help="also a set of the validation set's size")
    parser.add_argument("--threads", metavar="N", type=int, default=os.cpu_count() or 1, help="for --validation")
    arguments = parser.parse_args()
    boxes = read_flat_arrays(arguments.case) if arguments.case else make_up_set(200, 100, 300)
    print_comparison(boxes, arguments.official, arguments.official_frames)
    print_growth()
    if arguments.validation:
        run_validation(arguments.threads)
    return 0


if __name__ == "__main__":
    sys.exit(main())
