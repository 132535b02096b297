"""One frame's overlapping pairs -> counts at every score cut-off, by Waymo's Hungarian matching.

The official tool solves a dense assignment afresh for each of 101 cut-offs. Here the graph of pairs that
may match falls into connected components, and a component changes only where one of its predictions
crosses a cut-off: predictions enter by descending score, each by one best augmenting path, and only the
differences are written down.

Ties. Assignments with exactly the same sum of weights may differ in what is counted. Each component is
solved twice, once preferring and once avoiding a hash of what a match counts as; where both agree no tie
matters, elsewhere `dense_assignment` gives the official choice.
"""

from __future__ import annotations

import numpy as np

from pcdet_poly.evaluation.kernels.dense_assignment import assign_densely
from pcdet_poly.evaluation.kernels.incremental_assignment import (
    AssignmentSolver,
    create_solver,
    insert_prediction,
    sum_hashes,
)
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

_NOT_CHOSEN = -3


@kernel
def count_hungarian_matches(steps: np.ndarray, task: MatchGraph) -> None:
    """Add one task's counts to `steps` (rows, NUM_COUNTS, cut-offs)."""
    num_cutoffs = steps.shape[2]
    for obj in range(len(task.objects)):
        count_miss(steps, task.objects[obj], num_cutoffs - 1, 1)
    counted = np.full(len(task.predictions), NOT_COUNTED)
    order = _sort_by_cutoff(task.predictions, num_cutoffs)
    for pred in order:
        if task.first[pred] == task.first[pred + 1] and task.predictions[pred].group >= 0:
            recount_prediction(steps, task, counted, pred, UNMATCHED, task.predictions[pred].cutoff)
    if len(task.edges) > 0:
        _count_components(steps, task, counted, order)


@kernel
def _sort_by_cutoff(predictions: np.ndarray, num_cutoffs: int) -> np.ndarray:
    """Predictions that pass a cut-off, highest cut-off first, then by row."""
    start = np.zeros(num_cutoffs + 1, np.int64)
    for pred in range(len(predictions)):
        if predictions[pred].cutoff >= 0:
            start[num_cutoffs - predictions[pred].cutoff] += 1
    for k in range(num_cutoffs):
        start[k + 1] += start[k]
    order = np.empty(start[num_cutoffs], np.int64)
    for pred in range(len(predictions)):
        if predictions[pred].cutoff >= 0:
            place = num_cutoffs - 1 - predictions[pred].cutoff
            order[start[place]] = pred
            start[place] += 1
    return order


@kernel
def _find_components(task: MatchGraph) -> np.ndarray:
    """Component of each object: the smallest object it is connected to."""
    root = np.arange(len(task.objects))
    for edge in range(1, len(task.edges)):
        if task.edges[edge].prediction != task.edges[edge - 1].prediction:
            continue
        a, b = task.edges[edge - 1].object, task.edges[edge].object
        while root[a] != a:
            a = root[a]
        while root[b] != b:
            b = root[b]
        root[max(a, b)] = min(a, b)
    for obj in range(len(root)):
        root[obj] = root[root[obj]]
    return root


@kernel
def _count_components(steps: np.ndarray, task: MatchGraph, counted: np.ndarray, order: np.ndarray) -> None:
    """Count the predictions that may match anything, component by component."""
    num_objects, root = len(task.objects), _find_components(task)
    start, num_objects_of = np.zeros(num_objects + 1, np.int64), np.zeros(num_objects, np.int64)
    for obj in root:
        num_objects_of[obj] += 1
    for pred in order:
        if task.first[pred] < task.first[pred + 1]:
            start[root[task.edges[task.first[pred]].object] + 1] += 1
    for obj in range(num_objects):
        start[obj + 1] += start[obj]
    members, filled = np.empty(len(order), np.int64), start.copy()
    for pred in order:
        if task.first[pred] < task.first[pred + 1]:
            component = root[task.edges[task.first[pred]].object]
            members[filled[component]] = pred
            filled[component] += 1
    solver = create_solver(len(task.predictions), num_objects)
    official = np.empty((0, len(task.predictions)), np.int64)
    for obj in range(num_objects):
        part = members[start[obj] : start[obj + 1]]
        if len(part) > 0 and num_objects_of[obj] == 1:
            _count_single_object(steps, task, counted, part)
        elif len(part) > 0:
            official = _count_component(steps, task, counted, part, solver, official)


@kernel
def _find_batch_end(task: MatchGraph, part: np.ndarray, start: int) -> int:
    """End of the run of predictions of one cut-off that starts at `start`."""
    end, cutoff = start + 1, task.predictions[part[start]].cutoff
    while end < len(part) and task.predictions[part[end]].cutoff == cutoff:
        end += 1
    return end


@kernel
def _count_single_object(steps: np.ndarray, task: MatchGraph, counted: np.ndarray, part: np.ndarray) -> None:
    """One object, several predictions: the heaviest gets it, the first row among equals (as officially)."""
    best, heaviest, start = -1, -1, 0
    while start < len(part):
        end, cutoff, before = _find_batch_end(task, part, start), task.predictions[part[start]].cutoff, best
        for pred in part[start:end]:
            weight = task.edges[task.first[pred]].weight
            if weight > heaviest or (weight == heaviest and pred < best):
                best, heaviest = pred, weight
        for pred in part[start:end]:
            recount_prediction(steps, task, counted, pred, task.first[pred] if pred == best else UNMATCHED, cutoff)
        if before >= 0 and before != best:
            recount_prediction(steps, task, counted, before, UNMATCHED, cutoff)
        start = end


@kernel
def _count_component(
    steps: np.ndarray,
    task: MatchGraph,
    counted: np.ndarray,
    part: np.ndarray,
    solver: AssignmentSolver,
    official: np.ndarray,
) -> np.ndarray:
    """Several objects: insert the predictions of one cut-off after another; take the official choice at ties.

    `official` (cut-offs or 0, P) remembers official choices, _NOT_ASKED where not made; returned with the new ones.
    """
    start = 0
    while start < len(part):
        end, cutoff = _find_batch_end(task, part, start), task.predictions[part[start]].cutoff
        for pred in part[start:end]:
            insert_prediction(task, solver, pred, 0)
            insert_prediction(task, solver, pred, 1)
        if sum_hashes(task, solver, part[:end], 0) == sum_hashes(task, solver, part[:end], 1):
            for pred in part[:end]:
                recount_prediction(steps, task, counted, pred, solver.edge_of[0, pred], cutoff)
        else:
            if len(official) == 0:
                official = np.full((steps.shape[2], len(task.predictions)), _NOT_CHOSEN)
            stop = task.predictions[part[end]].cutoff if end < len(part) else -1
            _count_tied(steps, task, counted, part[:end], official, stop)
        start = end
    return official


@kernel
def _count_tied(
    steps: np.ndarray, task: MatchGraph, counted: np.ndarray, part: np.ndarray, official: np.ndarray, stop: int
) -> None:
    """Official choices for `part` from the cut-off of its last prediction down to above `stop`.

    The choice depends on all predictions of the group, so it is made anew wherever one of them enters.
    """
    group = task.predictions[part[0]].group
    enters = mark_entered_cutoffs(task, group, steps.shape[2])
    for cutoff in range(task.predictions[part[-1]].cutoff, stop, -1):
        if enters[cutoff]:
            if official[cutoff, part[0]] == _NOT_CHOSEN:
                _match_as_official(task, group, cutoff, official[cutoff])
            for pred in part:
                recount_prediction(steps, task, counted, pred, official[cutoff, pred], cutoff)


@kernel
def _match_as_official(task: MatchGraph, group: int, cutoff: int, chosen: np.ndarray) -> None:
    """Fill `chosen` (P,) with the edges by which the official tool matches a group's predictions at a cut-off."""
    rows, objects = select_group_predictions(task, group, cutoff), select_group_objects(task, group)
    column_of = np.full(len(task.objects), -1)
    for column in range(len(objects)):
        column_of[objects[column]] = column
    size = max(len(rows), len(objects))
    weight, edge_at = np.zeros((size, size), np.int64), np.full((size, size), UNMATCHED)
    for row in range(len(rows)):
        for edge in range(task.first[rows[row]], task.first[rows[row] + 1]):
            column = column_of[task.edges[edge].object]
            weight[row, column], edge_at[row, column] = task.edges[edge].weight, edge
    columns = assign_densely(weight)
    for row in range(len(rows)):
        chosen[rows[row]] = edge_at[row, columns[row]]
