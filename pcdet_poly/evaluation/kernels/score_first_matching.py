"""The other official matcher: in descending score, each prediction takes one of the objects that are left.

Among the objects it may match, the official code compares IoUs of the wrong pairs: it uses positions inside the
current subset (predictions above the cut-off, of one shard) as positions in the frame. The tool's numbers have
that in them, so it is followed here: `_greedy` looks at `iou[k, column]`.
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
    """(P, M) float32 IoU of every pair of a frame."""
    matrix = np.zeros((num_predictions, num_objects), np.float32)
    for k in range(len(pairs)):
        matrix[pairs[k].prediction, pairs[k].object] = pairs[k].iou
    return matrix


@kernel
def count_score_first_matches(steps: np.ndarray, task: MatchGraph, score: np.ndarray, iou: np.ndarray) -> None:
    """As `matching.count_task`, with this matcher; `score` (P,), `iou` (P, M)."""
    num_groups, num_cutoffs = 0, steps.shape[2]
    for obj in range(len(task.objects)):
        count_miss(steps, task.objects[obj], num_cutoffs - 1, 1)
    for pred in range(len(task.predictions)):
        num_groups = max(num_groups, task.predictions[pred].group + 1)
    counted = np.full(len(task.predictions), NOT_COUNTED)
    for group in range(num_groups):
        enters, objects = mark_entered_cutoffs(task, group, num_cutoffs), select_group_objects(task, group)
        for cutoff in range(num_cutoffs - 1, -1, -1):
            if enters[cutoff]:
                rows = select_group_predictions(task, group, cutoff)
                chosen = _match_greedily(task, rows, objects, score, iou)
                for k in range(len(rows)):
                    recount_prediction(steps, task, counted, rows[k], chosen[k], cutoff)


@kernel
def _match_greedily(
    task: MatchGraph, rows: np.ndarray, objects: np.ndarray, score: np.ndarray, iou: np.ndarray
) -> np.ndarray:
    """(K,) edge that each of the predictions `rows` takes, or UNMATCHED."""
    chosen = np.full(len(rows), UNMATCHED)
    place = np.full(iou.shape[1], -1)  # of each object in the subset; -1 once it is taken
    for column in range(len(objects)):
        place[objects[column]] = column
    for k in sort_by_introsort(score[rows]):
        best = np.float32(-1)
        for edge in range(task.first[rows[k]], task.first[rows[k] + 1]):
            column = place[task.edges[edge].object]
            if column >= 0 and iou[k, column] > best:
                best, chosen[k] = iou[k, column], edge
        if chosen[k] >= 0:
            place[task.edges[chosen[k]].object] = -1
    return chosen
