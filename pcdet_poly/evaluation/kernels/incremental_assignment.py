"""Assignment of greatest total weight, grown by one prediction at a time.

Two matchings are grown side by side on the same edges: number 0 breaks ties towards large hashes, number 1
towards small ones. The hash of an edge stands for all that its match counts as, so equal totals mean that
every best assignment counts the same.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pcdet_poly.evaluation.kernels.outcome_counts import UNMATCHED, MatchGraph
from pcdet_poly.ops.compiler.kernel import kernel

_WEIGHT_UNIT = 1 << 16  # above any hash
_UNREACHED = -(1 << 62)
# Per object: gain and last edge of the best path found to it (_NEVER: none), whether it waits in the queue; and the
# queue (a ring) and the list of objects with a path, which are as long.
_SEARCH_DTYPE = np.dtype([(name, np.int64) for name in ("gain", "entry", "waiting", "queue", "touched")])


class AssignmentSolver(NamedTuple):
    """The two matchings, and scratch memory for the search."""

    matched_edge: np.ndarray  # (2, P) matched edge, or UNMATCHED
    matched_prediction: np.ndarray  # (2, M) matched prediction, or -1
    search: np.ndarray  # (M + 1,) _SEARCH


@kernel
def create_solver(num_predictions: int, num_objects: int) -> AssignmentSolver:
    """Create empty matchings for a frame."""
    solver = AssignmentSolver(
        np.full((2, num_predictions), UNMATCHED),
        np.full((2, num_objects), -1),
        np.empty(num_objects + 1, _SEARCH_DTYPE),
    )
    for obj in range(num_objects):
        solver.search[obj].gain, solver.search[obj].waiting = _UNREACHED, 0
    return solver


@kernel
def sum_hashes(graph: MatchGraph, solver: AssignmentSolver, predictions: np.ndarray, side: int) -> int:
    """Add up the hashes of the edges by which predictions are matched.

    Args:
        graph: the matching's edges.
        solver: the two matchings.
        predictions: (K,) rows.
        side: which of the two matchings, 0 or 1.

    Returns:
        The sum; an unmatched prediction adds 0.
    """
    total = 0
    for pred in predictions:
        if solver.matched_edge[side, pred] >= 0:
            total += graph.edges[solver.matched_edge[side, pred]].hash
    return total


@kernel
def _edge_value(edge: np.record, side: int) -> int:
    """Return what matching by `edge` is worth: its weight, then its hash, liked by side 0 and disliked by side 1."""
    return edge.weight * _WEIGHT_UNIT + (edge.hash if side == 0 else -edge.hash)


@kernel
def insert_prediction(graph: MatchGraph, solver: AssignmentSolver, prediction: int, side: int) -> None:
    """Enter one prediction into one matching, which stays the best for those entered so far.

    Args:
        graph: the matching's edges.
        solver: the two matchings, changed in place.
        prediction: row of the prediction.
        side: which of the two matchings, 0 or 1.
    """
    matched_edge, matched_prediction = solver.matched_edge[side], solver.matched_prediction[side]
    best, last = 0, -1
    for k in range(_search_paths(graph, solver, prediction, side)):
        obj = solver.search[k].touched
        loser = matched_prediction[obj]
        gain = solver.search[obj].gain - (_edge_value(graph.edges[matched_edge[loser]], side) if loser >= 0 else 0)
        solver.search[obj].gain = _UNREACHED
        if gain > best:
            best, last = gain, obj
    if last < 0:
        return
    if matched_prediction[last] >= 0:
        matched_edge[matched_prediction[last]] = UNMATCHED
    while True:  # back along the path: each prediction leaves its object to the one after it
        edge = solver.search[last].entry
        taker = graph.edges[edge].prediction
        left = matched_edge[taker]
        matched_edge[taker], matched_prediction[last] = edge, taker
        if taker == prediction:
            return
        last = graph.edges[left].object


@kernel
def _search_paths(graph: MatchGraph, solver: AssignmentSolver, prediction: int, side: int) -> int:
    """Find the best alternating path from `prediction` to each object; return the number of objects reached.

    The gain of a path does not yet subtract what the object's own prediction loses. Paths are corrected until none
    gets better; this ends because a matching that is the best so far has no cycle that gains.
    """
    matched_edge, matched_prediction, search = solver.matched_edge[side], solver.matched_prediction[side], solver.search
    head, tail, num_touched = 0, 0, 0
    giver, base = prediction, 0
    while True:
        for edge in range(graph.first_edge[giver], graph.first_edge[giver + 1]):
            obj, gain = graph.edges[edge].object, base + _edge_value(graph.edges[edge], side)
            if edge == matched_edge[giver] or gain <= search[obj].gain:
                continue
            if search[obj].gain == _UNREACHED:
                search[num_touched].touched = obj
                num_touched += 1
            search[obj].gain, search[obj].entry = gain, edge
            if matched_prediction[obj] >= 0 and not search[obj].waiting:
                search[obj].waiting = 1
                search[tail].queue = obj
                tail = (tail + 1) % len(search)
        if head == tail:
            return num_touched
        obj = search[head].queue
        head = (head + 1) % len(search)
        search[obj].waiting = 0
        giver = matched_prediction[obj]
        base = search[obj].gain - _edge_value(graph.edges[matched_edge[giver]], side)
