"""The other official matcher: in descending score, each prediction takes one of the objects that are left.

Among the objects it may match, the official code compares IoUs of the wrong pairs: it uses positions inside the
current subset (predictions above the cut-off, of one shard) as positions in the frame. The tool's numbers have
that in them, so it is followed here: `match_by_score_first` looks at `iou[k, column]`.
"""

from __future__ import annotations

import numpy as np

from pcdet_poly.evaluation.kernels.introsort import sort_by_introsort
from pcdet_poly.evaluation.kernels.outcome_counts import (
    NOT_COUNTED,
    UNMATCHED,
    MatchGraph,
    count_miss,
    mark_entered_cutoffs,
    recount_prediction,
    select_group_objects,
    select_group_predictions,
)
from pcdet_poly.ops.compiler.kernel import kernel


@kernel
def iou_matrix(pairs: np.ndarray, num_predictions: int, num_objects: int) -> np.ndarray:
    """Return the IoU of every pair of a frame.

    Args:
        pairs: (E,) PAIR_DTYPE, those that overlap.
        num_predictions: P.
        num_objects: M.

    Returns:
        (P, M) float32.
    """
    matrix = np.zeros((num_predictions, num_objects), np.float32)
    for k in range(len(pairs)):
        matrix[pairs[k].prediction, pairs[k].object] = pairs[k].iou
    return matrix


@kernel
def count_score_first_matches(increments: np.ndarray, graph: MatchGraph, score: np.ndarray, iou: np.ndarray) -> None:
    """Add the counts of one matching.

    Args:
        increments: (rows, NUM_COUNTS, C) int64, changed in place.
        graph: the matching.
        score: (P,) float32.
        iou: (P, M) float32.
    """
    num_groups, num_cutoffs = 0, increments.shape[2]
    for obj in range(len(graph.objects)):
        count_miss(increments, graph.objects[obj], num_cutoffs - 1, 1)
    for pred in range(len(graph.predictions)):
        num_groups = max(num_groups, graph.predictions[pred].group + 1)
    counted_as = np.full(len(graph.predictions), NOT_COUNTED)
    for group in range(num_groups):
        enters, objects = mark_entered_cutoffs(graph, group, num_cutoffs), select_group_objects(graph, group)
        for cutoff in range(num_cutoffs - 1, -1, -1):
            if enters[cutoff]:
                rows = select_group_predictions(graph, group, cutoff)
                chosen = match_by_score_first(graph, rows, objects, score, iou)
                for k in range(len(rows)):
                    recount_prediction(increments, graph, counted_as, rows[k], chosen[k], cutoff)


@kernel
def match_by_score_first(
    graph: MatchGraph, rows: np.ndarray, objects: np.ndarray, score: np.ndarray, iou: np.ndarray
) -> np.ndarray:
    """Match the best object that is left with each prediction, by descending score.

    Args:
        graph: the matching.
        rows: (K,) the predictions that take part.
        objects: the objects that take part.
        score: (P,) float32.
        iou: (P, M) float32.

    Returns:
        (K,) the edge that each prediction takes, or UNMATCHED.
    """
    chosen = np.full(len(rows), UNMATCHED)
    column_of = np.full(iou.shape[1], -1)  # of each object in the subset; -1 once it is taken
    for column in range(len(objects)):
        column_of[objects[column]] = column
    for k in sort_by_introsort(score[rows]):
        best = np.float32(-1)
        for edge in range(graph.first_edge[rows[k]], graph.first_edge[rows[k] + 1]):
            column = column_of[graph.edges[edge].object]
            if column >= 0 and iou[k, column] > best:
                best, chosen[k] = iou[k, column], edge
        if chosen[k] >= 0:
            column_of[graph.edges[chosen[k]].object] = -1
    return chosen
