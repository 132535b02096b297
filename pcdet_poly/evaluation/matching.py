"""One frame's overlapping pairs -> counts at every score cut-off, by Waymo's Hungarian matching.

The official tool solves a dense assignment afresh for each of 101 cut-offs. Here the graph of pairs that
may match falls into connected components, and a component changes only where one of its predictions
crosses a cut-off: predictions enter by descending score, each by one best augmenting path, and only the
differences are written down. An entry of `steps` at cut-off c counts for all cut-offs up to c.

Ties. Assignments with exactly the same sum of weights may differ in what is counted. Each component is
solved twice, once preferring and once avoiding a hash of what a match counts as; where both agree no tie
matters, elsewhere `dense_assignment` gives the official choice.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from pcdet_poly.evaluation.assignment import Solver, insert, new_solver, total_hash
from pcdet_poly.evaluation.counting import NOT_COUNTED, UNMATCHED, Edges, Task, change, count_miss
from pcdet_poly.evaluation.dense_assignment import dense_assignment


@njit(cache=True, nogil=True)
def _components(task: Task, edges: Edges, num_objects: int) -> np.ndarray:
    """Component of each object: the smallest object it is connected to."""
    root = np.arange(num_objects)
    for pred in range(len(task.cutoff)):
        for edge in range(edges.first[pred] + 1, edges.first[pred + 1]):
            a, b = edges.object[edge - 1], edges.object[edge]
            while root[a] != a:
                root[a] = root[root[a]]
                a = root[a]
            while root[b] != b:
                root[b] = root[root[b]]
                b = root[b]
            root[max(a, b)] = min(a, b)
    for obj in range(num_objects):
        root[obj] = root[root[obj]]
    return root


@njit(cache=True, nogil=True)
def _by_descending_cutoff(cutoff: np.ndarray, num_cutoffs: int) -> np.ndarray:
    """Predictions that pass a cut-off, highest cut-off first, then by row."""
    start = np.zeros(num_cutoffs + 1, np.int64)
    for value in cutoff:
        if value >= 0:
            start[num_cutoffs - value] += 1
    for k in range(num_cutoffs):
        start[k + 1] += start[k]
    order = np.empty(start[num_cutoffs], np.int64)
    for pred in range(len(cutoff)):
        if cutoff[pred] >= 0:
            place = num_cutoffs - 1 - cutoff[pred]
            order[start[place]] = pred
            start[place] += 1
    return order


@njit(cache=True, nogil=True)
def count_task(steps: np.ndarray, task: Task, edges: Edges) -> None:
    """Add one task's counts to `steps` (rows, NUM_COUNTS, cut-offs)."""
    num_predictions, num_objects, num_cutoffs = len(task.cutoff), len(task.level), steps.shape[2]
    for obj in range(num_objects):
        count_miss(steps, task, obj, num_cutoffs - 1, 1)
    counted = np.full(num_predictions, NOT_COUNTED)
    order = _by_descending_cutoff(task.cutoff, num_cutoffs)
    root = _components(task, edges, num_objects)
    start, objects_in = np.zeros(num_objects + 1, np.int64), np.zeros(num_objects, np.int64)
    for pred in order:
        if edges.first[pred] < edges.first[pred + 1]:
            start[root[edges.object[edges.first[pred]]] + 1] += 1
        elif task.prediction_group[pred] >= 0:
            change(steps, task, edges, counted, pred, UNMATCHED, task.cutoff[pred])
    for obj in range(num_objects):
        start[obj + 1] += start[obj]
        objects_in[root[obj]] += 1
    members, filled = np.empty(start[num_objects], np.int64), start[:-1].copy()
    for pred in order:
        if edges.first[pred] < edges.first[pred + 1]:
            part = root[edges.object[edges.first[pred]]]
            members[filled[part]] = pred
            filled[part] += 1
    solver = new_solver(num_predictions, num_objects)
    for obj in range(num_objects):
        part = members[start[obj] : start[obj + 1]]
        if len(part) > 0 and objects_in[obj] == 1:
            _count_star(steps, task, edges, counted, part)
        elif len(part) > 0:
            _count_component(steps, task, edges, counted, part, solver)


@njit(cache=True, nogil=True)
def _end_of_batch(cutoff: np.ndarray, part: np.ndarray, start: int) -> int:
    """End of the run of predictions of one cut-off that starts at `start`."""
    end = start + 1
    while end < len(part) and cutoff[part[end]] == cutoff[part[start]]:
        end += 1
    return end


@njit(cache=True, nogil=True)
def _count_star(steps: np.ndarray, task: Task, edges: Edges, counted: np.ndarray, part: np.ndarray) -> None:
    """One object, several predictions: the heaviest gets it, the first row among equals (as officially)."""
    best, start = -1, 0
    while start < len(part):
        end, cutoff, before = _end_of_batch(task.cutoff, part, start), task.cutoff[part[start]], best
        for pred in part[start:end]:
            gain = edges.weight[edges.first[pred]] - (edges.weight[edges.first[best]] if best >= 0 else 0)
            if best < 0 or gain > 0 or (gain == 0 and pred < best):
                best = pred
        for pred in part[start:end]:
            change(steps, task, edges, counted, pred, edges.first[pred] if pred == best else UNMATCHED, cutoff)
        if before >= 0 and before != best:
            change(steps, task, edges, counted, before, UNMATCHED, cutoff)
        start = end


@njit(cache=True, nogil=True)
def _count_component(
    steps: np.ndarray, task: Task, edges: Edges, counted: np.ndarray, part: np.ndarray, solver: Solver
) -> None:
    """Several objects: insert the predictions of one cut-off after another; ask for the official choice at ties."""
    start = 0
    while start < len(part):
        end, cutoff = _end_of_batch(task.cutoff, part, start), task.cutoff[part[start]]
        for pred in part[start:end]:
            insert(edges, solver, pred, 0)
            insert(edges, solver, pred, 1)
        if total_hash(edges, solver, part[:end], 0) == total_hash(edges, solver, part[:end], 1):
            for pred in part[:end]:
                change(steps, task, edges, counted, pred, solver.edge_of[0, pred], cutoff)
        else:
            stop = task.cutoff[part[end]] if end < len(part) else -1
            _count_tied(steps, task, edges, counted, part[:end], cutoff, stop)
        start = end


@njit(cache=True, nogil=True)
def _count_tied(
    steps: np.ndarray, task: Task, edges: Edges, counted: np.ndarray, part: np.ndarray, first: int, stop: int
) -> None:
    """Official choices for `part` at the cut-offs from `first` down to above `stop`.

    The choice depends on all predictions of the group, so it is made anew wherever one of them enters.
    """
    group = task.prediction_group[part[0]]
    enters = np.zeros(first + 1, np.bool_)
    for pred in range(len(task.cutoff)):
        if task.prediction_group[pred] == group and 0 <= task.cutoff[pred] <= first:
            enters[task.cutoff[pred]] = True
    for cutoff in range(first, stop, -1):
        if enters[cutoff]:
            official = official_edges(task, edges, group, cutoff)
            for pred in part:
                change(steps, task, edges, counted, pred, official[pred], cutoff)


@njit(cache=True, nogil=True)
def official_edges(task: Task, edges: Edges, group: int, cutoff: int) -> np.ndarray:
    """(P,) the edge by which the official tool matches each prediction of a group at a cut-off, or UNMATCHED."""
    rows = np.flatnonzero((task.prediction_group == group) & (task.cutoff >= cutoff))
    objects = np.flatnonzero(task.object_group == group)
    column_of = np.full(len(task.object_group), -1)
    column_of[objects] = np.arange(len(objects))
    size = max(len(rows), len(objects))
    weight, edge_at = np.zeros((size, size), np.int64), np.full((size, size), UNMATCHED)
    for row in range(len(rows)):
        for edge in range(edges.first[rows[row]], edges.first[rows[row] + 1]):
            column = column_of[edges.object[edge]]
            weight[row, column], edge_at[row, column] = edges.weight[edge], edge
    chosen = np.full(len(task.cutoff), UNMATCHED)
    columns = dense_assignment(weight)
    for row in range(len(rows)):
        chosen[rows[row]] = edge_at[row, columns[row]]
    return chosen
