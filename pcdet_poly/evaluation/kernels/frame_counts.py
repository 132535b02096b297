"""Frames -> counts: overlap, then one matching per breakdown."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from pcdet_poly.evaluation.kernels.hungarian_matching import count_hungarian_matches
from pcdet_poly.evaluation.kernels.longitudinal import LongitudinalTolerance, find_tolerant_pairs
from pcdet_poly.evaluation.kernels.outcome_counts import EDGE_DTYPE, FIXED_POINT, MatchGraph
from pcdet_poly.evaluation.kernels.overlap import find_overlapping_pairs, prepare_boxes
from pcdet_poly.evaluation.kernels.score_first_matching import count_score_first_matches, iou_matrix
from pcdet_poly.ops.compiler.kernel import kernel

NEAR_IOU = 0.01  # a false alarm that overlaps an object this much belongs to that object's shard
_MILLION = np.float32(1e6)


class FrameTables(NamedTuple):
    """Rows of all frames of a chunk, one frame after the other, and the T groupings that are counted."""

    prediction_start: np.ndarray  # (F + 1,)
    object_start: np.ndarray  # (F + 1,)
    segment: np.ndarray  # (F,) first index into `increments`
    prediction_box: np.ndarray  # (P, 7) float32
    prediction_type: np.ndarray  # (P,) uint8
    object_box: np.ndarray  # (M, 7) float32
    object_type: np.ndarray  # (M,) uint8
    predictions: np.ndarray  # (T, P) PREDICTION
    objects: np.ndarray  # (T, M) OBJECT
    by_object: np.ndarray  # (T,) bool: a false alarm near an object counts in that object's row


class MatchRules(NamedTuple):
    """When a pair may match, and when a match counts."""

    min_iou: np.ndarray  # (5,) float32, smallest IoU of a match by Label.Type; type 0 never matches
    min_pair_iou: np.ndarray  # (5,) float32, smallest IoU that is looked at
    min_heading_accuracy: np.float32  # matches with no more heading accuracy are left out


@kernel
def _heading_accuracy(a: np.float32, b: np.float32) -> np.float32:
    """Return the weight of a match of two wrapped headings: 1 for equal ones, 0 for opposite ones."""
    apart = abs(a - b)
    if apart > math.pi:
        apart = np.float32(2.0 * math.pi - apart)
    return np.float32(min(1.0, max(0.0, 1.0 - float(apart) / math.pi)))


@kernel
def _mix_hash(bits: int | np.int64, value: int) -> np.int64:
    """Return the hash `bits` with `value` mixed in."""
    mixed = (np.uint64(bits) ^ np.uint64(value + 2)) * np.uint64(0xBF58476D1CE4E5B9)
    return np.int64(mixed ^ (mixed >> np.uint64(29)))


@kernel
def _hash_match(edge: np.record, prediction: np.record, obj: np.record) -> np.int64:
    """Return 15 bits that stand for everything that this match counts as."""
    bits = _mix_hash(_mix_hash(_mix_hash(0, edge.heading), edge.affinity), obj.level)
    return _mix_hash(_mix_hash(_mix_hash(bits, prediction.row), obj.row), prediction.ignored) & 0x7FFF


@kernel
def build_graph(
    pairs: np.ndarray,
    boxes: np.ndarray,
    object_boxes: np.ndarray,
    predictions: np.ndarray,
    objects: np.ndarray,
    rules: MatchRules,
) -> MatchGraph:
    """Build the graph of the predictions, the objects, and the pairs that may match.

    Args:
        pairs: (E,) PAIR_DTYPE, those that overlap.
        boxes: (P,) prepared boxes of the predictions.
        object_boxes: (M,) prepared boxes of the objects.
        predictions: (P,) PREDICTION_DTYPE.
        objects: (M,) OBJECT_DTYPE.
        rules: when a pair may match.

    Returns:
        The graph.
    """
    first_edge, edges, kept = np.zeros(len(predictions) + 1, np.int64), np.empty(len(pairs), EDGE_DTYPE), 0
    for k in range(len(pairs)):
        pair, edge = pairs[k], edges[kept]
        prediction, obj = predictions[pair.prediction], objects[pair.object]
        if prediction.group < 0 or prediction.group != obj.group or prediction.cutoff < 0:
            continue
        if pair.iou < rules.min_iou[boxes[pair.prediction].type] or pair.affinity <= 0:
            continue
        accuracy = _heading_accuracy(boxes[pair.prediction].heading, object_boxes[pair.object].heading)
        edge.prediction, edge.object = pair.prediction, pair.object
        edge.weight = math.floor(np.float64(np.float32(pair.iou * pair.affinity * _MILLION)) + 0.5)
        edge.heading = np.int64(accuracy * FIXED_POINT) if accuracy > rules.min_heading_accuracy else -1
        edge.affinity = np.int64(pair.affinity * FIXED_POINT)
        edge.hash = _hash_match(edge, prediction, obj)
        first_edge[pair.prediction + 1] += 1
        kept += 1
    for pred in range(len(predictions)):
        first_edge[pred + 1] += first_edge[pred]
    return MatchGraph(predictions, objects, edges[:kept], first_edge)


@kernel
def _adopt_object_rows(pairs: np.ndarray, predictions: np.ndarray, objects: np.ndarray) -> np.ndarray:
    """Return `predictions` with the rows of the objects that each overlaps most (the last among equals)."""
    out, best = predictions.copy(), np.full(len(predictions), NEAR_IOU)
    for k in range(len(pairs)):
        pair = pairs[k]
        if predictions[pair.prediction].group == objects[pair.object].group and pair.iou >= best[pair.prediction]:
            best[pair.prediction] = pair.iou
            out[pair.prediction].row = objects[pair.object].row
    return out


@kernel
def count_frames(
    increments: np.ndarray,
    tables: FrameTables,
    box_type: int,
    rules: MatchRules,
    tolerance: LongitudinalTolerance | None,
    score: np.ndarray | None,
) -> None:
    """Add the counts of all frames of a chunk.

    Args:
        increments: (segments, rows, NUM_COUNTS, C) int64, changed in place.
        tables: the frames' boxes and their groupings.
        box_type: BOX_3D, BOX_BEV or BOX_AA_2D.
        rules: when a pair may match, and when a match counts.
        tolerance: of LET's overlap; None for the plain one.
        score: (P,) float32 of the predictions for the score-first matcher; None for the Hungarian one.
    """
    for frame in range(len(tables.segment)):
        p0, p1 = tables.prediction_start[frame], tables.prediction_start[frame + 1]
        o0, o1 = tables.object_start[frame], tables.object_start[frame + 1]
        boxes = prepare_boxes(tables.prediction_box[p0:p1], tables.prediction_type[p0:p1])
        object_boxes = prepare_boxes(tables.object_box[o0:o1], tables.object_type[o0:o1])
        if tolerance is None:
            pairs = find_overlapping_pairs(boxes, object_boxes, box_type, rules.min_pair_iou)
        else:
            pairs = find_tolerant_pairs(boxes, object_boxes, box_type, rules.min_pair_iou, tolerance)
        for t in range(len(tables.by_object)):
            predictions, objects = tables.predictions[t, p0:p1], tables.objects[t, o0:o1]
            if tables.by_object[t]:
                predictions = _adopt_object_rows(pairs, predictions, objects)
            graph = build_graph(pairs, boxes, object_boxes, predictions, objects, rules)
            if score is None:
                count_hungarian_matches(increments[tables.segment[frame]], graph)
            else:
                iou = iou_matrix(pairs, p1 - p0, o1 - o0)
                count_score_first_matches(increments[tables.segment[frame]], graph, score[p0:p1], iou)
