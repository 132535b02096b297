"""Frames -> counts: overlap, then one matching per breakdown."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from pcdet_poly.evaluation.counting import FIXED_POINT, Edges, Task
from pcdet_poly.evaluation.matching import count_task
from pcdet_poly.evaluation.overlap import Boxes, Pairs, overlapping_pairs, prepared

NEAR_IOU = 0.01  # a false alarm that overlaps an object this much belongs to that object's shard
_MILLION = np.float32(1e6)


class Tables(NamedTuple):
    """Rows of all frames of a chunk, one frame after the other."""

    prediction_start: np.ndarray  # (F + 1,)
    object_start: np.ndarray  # (F + 1,)
    segment: np.ndarray  # (F,) first index of `steps`
    prediction_box: np.ndarray  # (P, 7) float32
    prediction_type: np.ndarray  # (P,) uint8
    cutoff: np.ndarray  # (P,) int64
    ignored: np.ndarray  # (P,) bool
    object_box: np.ndarray  # (M, 7) float32
    object_type: np.ndarray  # (M,) uint8
    level: np.ndarray  # (M,) int64


class Groups(NamedTuple):
    """T tasks (breakdowns): the columns of `Task`, and how false alarms find their row."""

    prediction: np.ndarray  # (T, P) int64
    object: np.ndarray  # (T, M) int64
    prediction_row: np.ndarray  # (T, P) int64
    object_row: np.ndarray  # (T, M) int64
    by_object: np.ndarray  # (T,) bool: a false alarm near an object counts in that object's row


@njit(cache=True, nogil=True)
def _heading_accuracy(a: np.float32, b: np.float32) -> np.float32:
    """Weight of a match of two wrapped headings: 1 for equal ones, 0 for opposite ones."""
    apart = abs(a - b)
    if apart > math.pi:
        apart = np.float32(2.0 * math.pi - apart)
    return np.float32(min(1.0, max(0.0, 1.0 - apart / math.pi)))


@njit(cache=True, nogil=True)
def _hash(task: Task, pred: int, obj: int, heading: int, affinity: int) -> np.int64:
    """15 bits of everything that this match counts as."""
    mixed = np.uint64(heading) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(affinity)
    for part in (task.prediction_row[pred], task.object_row[obj], task.level[obj], np.int64(task.ignored[pred])):
        mixed = (mixed ^ np.uint64(part + 1)) * np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(29)
    return np.int64(mixed & np.uint64(0x7FFF))


@njit(cache=True, nogil=True)
def _edges(
    pairs: Pairs, predictions: Boxes, objects: Boxes, task: Task, threshold: np.ndarray, least_heading: float
) -> Edges:
    """The pairs that may match in this task."""
    num_pairs, num_predictions = len(pairs.iou), len(task.cutoff)
    first = np.zeros(num_predictions + 1, np.int64)
    kept_p, kept_o = np.empty(num_pairs, np.int64), np.empty(num_pairs, np.int64)
    weight, heading = np.empty(num_pairs, np.int64), np.empty(num_pairs, np.int64)
    affinity, hashes = np.empty(num_pairs, np.int64), np.empty(num_pairs, np.int64)
    kept = 0
    for k in range(num_pairs):
        pred, obj = pairs.prediction[k], pairs.object[k]
        group = task.prediction_group[pred]
        if group < 0 or group != task.object_group[obj] or task.cutoff[pred] < 0:
            continue
        if pairs.iou[k] < threshold[predictions.type[pred]]:
            continue
        accuracy = _heading_accuracy(predictions.heading[pred], objects.heading[obj])
        counts = accuracy > least_heading
        kept_p[kept], kept_o[kept] = pred, obj
        weight[kept] = np.int64(math.floor(np.float64(np.float32(pairs.iou[k] * _MILLION)) + 0.5))
        heading[kept] = np.int64(accuracy * FIXED_POINT) if counts else np.int64(-1)
        affinity[kept] = np.int64(pairs.affinity[k] * FIXED_POINT)
        hashes[kept] = _hash(task, pred, obj, heading[kept], affinity[kept])
        first[pred + 1] += 1
        kept += 1
    for pred in range(num_predictions):
        first[pred + 1] += first[pred]
    return Edges(first, kept_p[:kept], kept_o[:kept], weight[:kept], heading[:kept], affinity[:kept], hashes[:kept])


@njit(cache=True, nogil=True)
def _rows_by_object(
    pairs: Pairs, row: np.ndarray, group: np.ndarray, object_group: np.ndarray, object_row: np.ndarray
) -> np.ndarray:
    """Row of each prediction's false positive: that of the object it overlaps most (the last among equals)."""
    found, best = row.copy(), np.full(len(row), NEAR_IOU)
    for k in range(len(pairs.iou)):
        pred, obj = pairs.prediction[k], pairs.object[k]
        if group[pred] == object_group[obj] and pairs.iou[k] >= best[pred]:
            best[pred], found[pred] = pairs.iou[k], object_row[obj]
    return found


@njit(cache=True, nogil=True)
def count_frames(
    steps: np.ndarray,
    tables: Tables,
    groups: Groups,
    box_types: np.ndarray,
    threshold: np.ndarray,
    least_heading: float,
) -> None:
    """Add the counts of all frames to `steps` (segments, box types, rows, NUM_COUNTS, cut-offs)."""
    least = threshold.copy()
    if groups.by_object.any():
        least = np.minimum(least, np.float32(NEAR_IOU))
    for frame in range(len(tables.segment)):
        p0, p1 = tables.prediction_start[frame], tables.prediction_start[frame + 1]
        o0, o1 = tables.object_start[frame], tables.object_start[frame + 1]
        predictions = prepared(tables.prediction_box[p0:p1], tables.prediction_type[p0:p1])
        objects = prepared(tables.object_box[o0:o1], tables.object_type[o0:o1])
        for k in range(len(box_types)):
            pairs = overlapping_pairs(predictions, objects, box_types[k], least)
            for t in range(len(groups.by_object)):
                group, object_group = groups.prediction[t, p0:p1], groups.object[t, o0:o1]
                row, object_row = groups.prediction_row[t, p0:p1], groups.object_row[t, o0:o1]
                if groups.by_object[t]:
                    row = _rows_by_object(pairs, row, group, object_group, object_row)
                cutoff, ignored, level = tables.cutoff[p0:p1], tables.ignored[p0:p1], tables.level[o0:o1]
                task = Task(cutoff, ignored, group, object_group, row, object_row, level)
                edges = _edges(pairs, predictions, objects, task, threshold, least_heading)
                count_task(steps[tables.segment[frame], k], task, edges)
