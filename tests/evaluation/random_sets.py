"""Random problems, and what the tests compare."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pcdet_poly.evaluation.ap_table import ApTable
from pcdet_poly.evaluation.box_tables import EvaluationSet, Objects, Predictions
from tests.tolerances import SIX_DIGITS

SIZES = np.array([[0, 0, 0], [4.5, 2, 1.7], [0.9, 0.9, 1.8], [0.5, 0.8, 0.8], [1.8, 0.8, 1.7]])
PARTS = {"TYPE_3D": "3D", "TYPE_2D": "BEV"}
METRICS = {"AP": "ap", "APH": "aph", "APL": "apl"}


def build_random_set(
    seed: int, *, frames: int = 4, objects: int = 12, grid: float = 0.0, copies: int = 0, scores: int = 0
) -> EvaluationSet:
    """Objects in clumps, noisy detections, some turned by pi, false alarms, no-label zones.

    `grid` snaps boxes to a lattice and `copies` repeats detections (turned by pi half the time): many exact ties.
    `scores` > 0 leaves that many different scores.
    """
    rng = np.random.default_rng(seed)
    num = frames * objects
    kind = rng.integers(1, 5, num)
    middles = rng.uniform(-40, 40, (num // 4 + 1, 2))
    centre = middles[rng.integers(0, len(middles), num)] + rng.normal(0, 0.7, (num, 2))
    box = np.c_[centre, rng.normal(0, 0.3, num), SIZES[kind] * rng.uniform(0.9, 1.1, (num, 3)), rng.uniform(-3, 3, num)]
    of = np.repeat(np.arange(num), rng.integers(0, 3, num))
    found = box[of] + rng.normal(0, 1, (len(of), 7)) * [0.15, 0.08, 0.08, 0.06, 0.03, 0.03, 0.06]
    found[rng.random(len(of)) < 0.2, 6] += np.pi
    false = rng.integers(0, num, num // 4)
    found, of = np.r_[found, box[false] + [6, 6, 0, 0, 0, 0, 0]], np.r_[of, false]
    again = rng.integers(0, len(of), copies)
    turned = found[again] + np.outer(rng.integers(0, 2, copies), [0, 0, 0, 0, 0, 0, np.pi])
    found, of = np.r_[found, turned], np.r_[of, again * 0 + of[again]]
    if grid:
        box, found = snap_to_lattice(box, grid), snap_to_lattice(found, grid)
    score = rng.random(len(of))
    frame = np.repeat(np.arange(frames), objects)
    predictions = Predictions(
        frame=frame[of],
        box=found.astype(np.float32),
        type=kind[of].astype(np.uint8),
        score=(np.ceil(score * scores) / scores if scores else score).astype(np.float32),
        in_no_label_zone=rng.random(len(of)) < 0.2,
        image=np.zeros(len(of), np.uint8),
    )
    labels = Objects(
        frame=frame,
        box=box.astype(np.float32),
        type=kind.astype(np.uint8),
        level=rng.integers(0, 3, num).astype(np.uint8),
        speed=rng.exponential(2, (num, 2)).astype(np.float32),
        image=np.zeros(num, np.uint8),
        camera=np.full(num, -1, np.int8),
    )
    segments = tuple(f"segment {i % 3}" for i in range(frames))
    return EvaluationSet(
        predictions[np.argsort(predictions.frame, kind="stable")], labels, tuple(map(str, range(frames))), segments
    )


def snap_to_lattice(box: np.ndarray, grid: float) -> np.ndarray:
    """Boxes on a lattice, with headings that are multiples of a right angle."""
    size = np.maximum(np.round(box[:, 3:6] / grid), 1) * grid
    return np.c_[np.round(box[:, :3] / grid) * grid, size, np.round(box[:, 6] / (np.pi / 2)) * np.pi / 2]


def move_frames(boxes: EvaluationSet, frames: np.ndarray) -> EvaluationSet:
    """The boxes with frame i moved to position `frames[i]`."""
    moved = []
    for rows in (boxes.predictions, boxes.objects):
        rows = replace(rows, frame=frames[rows.frame])
        moved.append(rows[np.argsort(rows.frame, kind="stable")])
    order = np.argsort(frames)
    return EvaluationSet(
        moved[0],
        moved[1],
        tuple(boxes.frames[i] for i in order),
        tuple(boxes.segments[i] for i in order),
    )


def select_frames(boxes: EvaluationSet, first: int, end: int) -> EvaluationSet:
    """Frames `first` to `end`, numbered anew."""

    def rows(table: Any) -> Any:
        kept = table[(table.frame >= first) & (table.frame < end)]
        return replace(kept, frame=kept.frame - first)

    return EvaluationSet(
        rows(boxes.predictions), rows(boxes.objects), boxes.frames[first:end], boxes.segments[first:end]
    )


def read_json(path: Path) -> dict[str, Any]:
    with gzip.open(path, "rt") as file:
        return json.load(file)


def find_differences(table: ApTable, part: str, official: dict[str, Any]) -> dict[str, tuple[float, float]]:
    """Rows and metrics in which ours and the official value are more than 1e-6 apart."""
    assert set(table[part]) == set(official)
    return {
        f"{name} {metric}": (table[part][name][ours], row[metric])
        for name, row in official.items()
        for metric, ours in METRICS.items()
        if metric in row and ours in table[part][name] and not abs(table[part][name][ours] - row[metric]) <= SIX_DIGITS
    }
