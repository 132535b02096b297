"""One frame's overlapping pairs -> counts at every score cut-off, by Waymo's Hungarian matching.

The official tool solves a dense assignment afresh for each of 101 cut-offs. Here the graph of pairs that
may match falls into connected components, and a component changes only where one of its predictions
crosses a cut-off: predictions enter by descending score, each by one best augmenting path, and only the
differences are written down.

Ties. Assignments with exactly the same sum of weights may differ in what is counted. Each component is
solved twice, once preferring and once avoiding a hash of what a match counts as; where both agree no tie
matters, elsewhere `assign_densely` gives the official choice.
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
def count_hungarian_matches(increments: np.ndarray, graph: MatchGraph) -> None:
    """Add the counts of one matching to `increments` (rows, NUM_COUNTS, C)."""
    num_cutoffs = increments.shape[2]
    for obj in range(len(graph.objects)):
        count_miss(increments, graph.objects[obj], num_cutoffs - 1, 1)
    counted_as = np.full(len(graph.predictions), NOT_COUNTED)
    order = _sort_by_cutoff(graph.predictions, num_cutoffs)
    for pred in order:
        if graph.first_edge[pred] == graph.first_edge[pred + 1] and graph.predictions[pred].group >= 0:
            recount_prediction(increments, graph, counted_as, pred, UNMATCHED, graph.predictions[pred].cutoff)
    if len(graph.edges) > 0:
        _count_components(increments, graph, counted_as, order)


@kernel
def _sort_by_cutoff(predictions: np.ndarray, num_cutoffs: int) -> np.ndarray:
    """Return the predictions that pass a cut-off, highest cut-off first, then by row."""
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
def _find_components(graph: MatchGraph) -> np.ndarray:
    """Return the component of each object: the smallest object that it is connected to."""
    root = np.arange(len(graph.objects))
    for edge in range(1, len(graph.edges)):
        if graph.edges[edge].prediction != graph.edges[edge - 1].prediction:
            continue
        a, b = graph.edges[edge - 1].object, graph.edges[edge].object
        while root[a] != a:
            a = root[a]
        while root[b] != b:
            b = root[b]
        root[max(a, b)] = min(a, b)
    for obj in range(len(root)):
        root[obj] = root[root[obj]]
    return root


@kernel
def _count_components(increments: np.ndarray, graph: MatchGraph, counted_as: np.ndarray, order: np.ndarray) -> None:
    """Count the predictions that may match anything, component by component."""
    num_objects, root = len(graph.objects), _find_components(graph)
    start, num_objects_of = np.zeros(num_objects + 1, np.int64), np.zeros(num_objects, np.int64)
    for obj in root:
        num_objects_of[obj] += 1
    for pred in order:
        if graph.first_edge[pred] < graph.first_edge[pred + 1]:
            start[root[graph.edges[graph.first_edge[pred]].object] + 1] += 1
    for obj in range(num_objects):
        start[obj + 1] += start[obj]
    members, filled = np.empty(len(order), np.int64), start.copy()
    for pred in order:
        if graph.first_edge[pred] < graph.first_edge[pred + 1]:
            root_object = root[graph.edges[graph.first_edge[pred]].object]
            members[filled[root_object]] = pred
            filled[root_object] += 1
    solver = create_solver(len(graph.predictions), num_objects)
    official_edges = np.empty((0, len(graph.predictions)), np.int64)
    for obj in range(num_objects):
        component = members[start[obj] : start[obj + 1]]
        if len(component) > 0 and num_objects_of[obj] == 1:
            _count_single_object(increments, graph, counted_as, component)
        elif len(component) > 0:
            official_edges = _count_component(increments, graph, counted_as, component, solver, official_edges)


@kernel
def _find_batch_end(graph: MatchGraph, component: np.ndarray, start: int) -> int:
    """Return the end of the run of predictions of one cut-off that starts at `start`."""
    end, cutoff = start + 1, graph.predictions[component[start]].cutoff
    while end < len(component) and graph.predictions[component[end]].cutoff == cutoff:
        end += 1
    return end


@kernel
def _count_single_object(
    increments: np.ndarray, graph: MatchGraph, counted_as: np.ndarray, component: np.ndarray
) -> None:
    """Count a component of one object and several predictions.

    The heaviest prediction gets the object, the first row among equals (as officially).
    """
    best, heaviest, start = -1, -1, 0
    while start < len(component):
        end, cutoff, before = _find_batch_end(graph, component, start), graph.predictions[component[start]].cutoff, best
        for pred in component[start:end]:
            weight = graph.edges[graph.first_edge[pred]].weight
            if weight > heaviest or (weight == heaviest and pred < best):
                best, heaviest = pred, weight
        for pred in component[start:end]:
            recount_prediction(
                increments, graph, counted_as, pred, graph.first_edge[pred] if pred == best else UNMATCHED, cutoff
            )
        if before >= 0 and before != best:
            recount_prediction(increments, graph, counted_as, before, UNMATCHED, cutoff)
        start = end


@kernel
def _count_component(
    increments: np.ndarray,
    graph: MatchGraph,
    counted_as: np.ndarray,
    component: np.ndarray,
    solver: AssignmentSolver,
    official_edges: np.ndarray,
) -> np.ndarray:
    """Count a component of several objects.

    The predictions of one cut-off after another are inserted; at ties the official choice is taken.
    `official_edges` (C or 0, P) remembers the official choices, _NOT_CHOSEN where not made; it is returned with the
    new ones.
    """
    start = 0
    while start < len(component):
        end, cutoff = _find_batch_end(graph, component, start), graph.predictions[component[start]].cutoff
        for pred in component[start:end]:
            insert_prediction(graph, solver, pred, 0)
            insert_prediction(graph, solver, pred, 1)
        if sum_hashes(graph, solver, component[:end], 0) == sum_hashes(graph, solver, component[:end], 1):
            for pred in component[:end]:
                recount_prediction(increments, graph, counted_as, pred, solver.matched_edge[0, pred], cutoff)
        else:
            if len(official_edges) == 0:
                official_edges = np.full((increments.shape[2], len(graph.predictions)), _NOT_CHOSEN)
            stop = graph.predictions[component[end]].cutoff if end < len(component) else -1
            _count_tied(increments, graph, counted_as, component[:end], official_edges, stop)
        start = end
    return official_edges


@kernel
def _count_tied(
    increments: np.ndarray,
    graph: MatchGraph,
    counted_as: np.ndarray,
    component: np.ndarray,
    official_edges: np.ndarray,
    stop: int,
) -> None:
    """Count `component` by official choices from the cut-off of its last prediction down to above `stop`.

    The choice depends on all predictions of the group, so it is made anew wherever one of them enters.
    """
    group = graph.predictions[component[0]].group
    enters = mark_entered_cutoffs(graph, group, increments.shape[2])
    for cutoff in range(graph.predictions[component[-1]].cutoff, stop, -1):
        if enters[cutoff]:
            if official_edges[cutoff, component[0]] == _NOT_CHOSEN:
                match_as_official(graph, group, cutoff, official_edges[cutoff])
            for pred in component:
                recount_prediction(increments, graph, counted_as, pred, official_edges[cutoff, pred], cutoff)


@kernel
def match_as_official(graph: MatchGraph, group: int, cutoff: int, chosen: np.ndarray) -> None:
    """Fill in the edges by which the official tool matches a group's predictions at a cut-off.

    Args:
        graph: the matching.
        group: number of the group.
        cutoff: position of the cut-off.
        chosen: (P,) changed in place where a prediction is of the group and passes the cut-off: its edge, or UNMATCHED.
    """
    rows, objects = select_group_predictions(graph, group, cutoff), select_group_objects(graph, group)
    column_of = np.full(len(graph.objects), -1)
    for column in range(len(objects)):
        column_of[objects[column]] = column
    size = max(len(rows), len(objects))
    weight, edge_at = np.zeros((size, size), np.int64), np.full((size, size), UNMATCHED)
    for row in range(len(rows)):
        for edge in range(graph.first_edge[rows[row]], graph.first_edge[rows[row] + 1]):
            column = column_of[graph.edges[edge].object]
            weight[row, column], edge_at[row, column] = graph.edges[edge].weight, edge
    columns = assign_densely(weight)
    for row in range(len(rows)):
        chosen[rows[row]] = edge_at[row, columns[row]]
