"""Which part of its boxes costs a run its AP: each is replaced by that of the label, one after the other.

    python -m benchmarks.ap_by_part RUN [--class VEHICLE]

Reads the run's detections.parquet and the labels of its data.val. A detection belongs to the label of its class that it
overlaps most, seen from above, if any; scores stay. Prints AP at LEVEL_1 with each part replaced, and by how much boxes
with a bird's-eye IoU of .5 or more are wrong: mean and spread (half the distance of the 16th and 84th percentiles).
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from pcdet_poly.data.load.collate import relabel_objects
from pcdet_poly.engine.frames import open_frames_to_evaluate
from pcdet_poly.engine.run import open_run
from pcdet_poly.evaluation import evaluate, read_detections
from pcdet_poly.ops.iou import iou_bev
from pcdet_poly.structures import Detections, GroundTruth

PARTS = {
    "as they are": [],
    "x and y": [0, 1],
    "z": [2],
    "length and width": [3, 4],
    "height": [5],
    "z and height": [2, 5],
    "heading": [6],
    "all but z": [0, 1, 3, 4, 5, 6],
    "all but z and height": [0, 1, 3, 4, 6],
}


def main() -> None:
    """Match, replace, evaluate, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", metavar="RUN", type=Path)
    parser.add_argument("--class", dest="name", default="VEHICLE")
    given = parser.parse_args()
    run = open_run(given.run, [], torch.device("cpu"))
    saved, frames = read_detections(given.run / "detections.parquet"), open_frames_to_evaluate(run.config)
    of_frame = dict(zip(saved.frame_ids, saved.detections, strict=True))
    truth = [relabel_objects(frames[i], saved.class_names) for i in range(len(frames))]
    found = [of_frame[name].numpy() for name in frames.frame_ids]
    zones = None
    if saved.in_no_label_zone is not None:
        zone_of_frame = dict(zip(saved.frame_ids, saved.in_no_label_zone, strict=True))
        zones = [zone_of_frame[name] for name in frames.frame_ids]
    matches = [match_detections(*pair) for pair in zip(found, truth, strict=True)]
    print("| of the label | BEV | 3D |\n|---|---|---|")
    for name, columns in PARTS.items():
        mended = [replace_parts(*each, columns) for each in zip(found, truth, matches, strict=True)]
        table = evaluate(
            mended,
            truth,
            run.config.evaluation.metrics,
            class_names=saved.class_names,
            no_label_zone=zones,
            within=run.config.evaluation.within,
        )
        row = f"OBJECT_TYPE_TYPE_{given.name}_LEVEL_1"
        print(f"| {name} | {100 * table['BEV'][row]['ap']:.1f} | {100 * table['3D'][row]['ap']:.1f} |", flush=True)
    print_errors(found, truth, matches, saved.class_names.index(given.name))


def match_detections(found: Detections, truth: GroundTruth) -> tuple[np.ndarray, np.ndarray]:
    """Row of the label that each detection overlaps most, or -1; that IoU, seen from above."""
    if not len(found.box) or not len(truth.box):
        return np.full(len(found.box), -1), np.zeros(len(found.box))
    overlap = iou_bev(torch.from_numpy(found.box), torch.from_numpy(truth.box)).numpy()
    overlap = np.where(found.label[:, None] == truth.label, overlap, 0)
    best = overlap.max(axis=1)
    return np.where(best > 0, overlap.argmax(axis=1), -1), best


def replace_parts(
    found: Detections, truth: GroundTruth, matched: tuple[np.ndarray, np.ndarray], columns: list[int]
) -> Detections:
    """`found` with these columns of its boxes from the labels that they belong to."""
    box, row = np.array(found.box), matched[0]
    has = np.flatnonzero(row >= 0)
    box[np.ix_(has, columns)] = truth.box[np.ix_(row[has], columns)]
    return replace(found, box=box)


def print_errors(
    found: list[Detections], truth: list[GroundTruth], matches: list[tuple[np.ndarray, np.ndarray]], label: int
) -> None:
    """Mean and spread of detection minus label, of the boxes that overlap well."""
    pairs = []
    for mine, labels, (row, overlap) in zip(found, truth, matches, strict=True):
        good = (overlap >= 0.5) & (mine.label == label)
        pairs.append(np.stack([mine.box[good], labels.box[row[good]]], axis=1))
    if not sum(map(len, pairs)):
        print("\nno box overlaps a label by half")
        return
    box, target = np.concatenate(pairs).transpose(1, 0, 2).astype(np.float64)
    dx, dy = (box[:, :2] - target[:, :2]).T
    cos, sin = np.cos(target[:, 6]), np.sin(target[:, 6])
    errors = {
        "along, m": dx * cos + dy * sin,
        "across, m": dy * cos - dx * sin,
        "z, m": box[:, 2] - target[:, 2],
        **{f"{name}, m": box[:, k] - target[:, k] for k, name in ((3, "length"), (4, "width"), (5, "height"))},
        "bottom, m": (box - target)[:, 2] - (box - target)[:, 5] / 2,
        "heading modulo 180 degrees": (np.rad2deg(box[:, 6] - target[:, 6]) + 90) % 180 - 90,
    }
    print(f"\n{len(box)} boxes\n\n| error | mean | spread |\n|---|---|---|")
    for name, error in errors.items():
        low, high = np.percentile(error, [16, 84])
        print(f"| {name} | {error.mean():+.3f} | {(high - low) / 2:.3f} |")


if __name__ == "__main__":
    main()
