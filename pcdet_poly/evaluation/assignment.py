"""Assignment of greatest total weight, grown by one prediction at a time.

Two matchings are grown side by side on the same edges: number 0 breaks ties towards large hashes, number 1
towards small ones. The hash of an edge stands for all that its match counts as, so equal totals mean that
every best assignment counts the same.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from pcdet_poly.evaluation.counting import UNMATCHED, Edges

_WEIGHT_UNIT = 1 << 16  # above any hash
_NEVER = -(1 << 62)


class Solver(NamedTuple):
    """The two matchings, and scratch memory for the search."""

    edge_of: np.ndarray  # (2, P) matched edge, or UNMATCHED
    prediction_of: np.ndarray  # (2, M) matched prediction, or -1
    gain: np.ndarray  # (M,) of the best path found to each object, else _NEVER
    entry: np.ndarray  # (M,) last edge of that path
    touched: np.ndarray  # (M,) objects with a path
    queue: np.ndarray  # (M + 1,) ring of objects whose path has improved
    waiting: np.ndarray  # (M,) bool, in the queue


@njit(cache=True, nogil=True)
def new_solver(num_predictions: int, num_objects: int) -> Solver:
    """Empty matchings for a frame."""
    return Solver(
        np.full((2, num_predictions), UNMATCHED),
        np.full((2, num_objects), -1),
        np.full(num_objects, _NEVER),
        np.empty(num_objects, np.int64),
        np.empty(num_objects, np.int64),
        np.empty(num_objects + 1, np.int64),
        np.zeros(num_objects, np.bool_),
    )


@njit(cache=True, nogil=True)
def total_hash(edges: Edges, solver: Solver, predictions: np.ndarray, side: int) -> int:
    """Sum of the hashes of the edges by which `predictions` are matched."""
    total = 0
    for pred in predictions:
        if solver.edge_of[side, pred] >= 0:
            total += edges.hash[solver.edge_of[side, pred]]
    return total


@njit(cache=True, nogil=True)
def _value(edges: Edges, edge: int, side: int) -> int:
    return edges.weight[edge] * _WEIGHT_UNIT + (edges.hash[edge] if side == 0 else -edges.hash[edge])


@njit(cache=True, nogil=True)
def insert(edges: Edges, solver: Solver, prediction: int, side: int) -> None:
    """Enter one prediction into matching `side`, which stays the best for those entered so far."""
    edge_of, prediction_of = solver.edge_of[side], solver.prediction_of[side]
    num_touched = _search(edges, solver, prediction, side)
    best, last = 0, -1
    for obj in solver.touched[:num_touched]:
        loser = prediction_of[obj]
        gain = solver.gain[obj] - (_value(edges, edge_of[loser], side) if loser >= 0 else 0)
        solver.gain[obj] = _NEVER
        if gain > best:
            best, last = gain, obj
    if last < 0:
        return
    if prediction_of[last] >= 0:
        edge_of[prediction_of[last]] = UNMATCHED
    while True:  # back along the path: each prediction leaves its object to the one after it
        edge = solver.entry[last]
        taker = edges.prediction[edge]
        left = edge_of[taker]
        edge_of[taker], prediction_of[last] = edge, taker
        if taker == prediction:
            return
        last = edges.object[left]


@njit(cache=True, nogil=True)
def _search(edges: Edges, solver: Solver, prediction: int, side: int) -> int:
    """Fill `gain` and `entry` with the best alternating path to each object; return the number of objects reached.

    The gain is counted with the object's own prediction not yet moved away. Label correcting: it ends because
    a matching that is the best so far has no cycle that gains.
    """
    edge_of, prediction_of = solver.edge_of[side], solver.prediction_of[side]
    size, head, tail, num_touched = len(solver.queue), 0, 0, 0
    giver, base = prediction, 0
    while True:
        for edge in range(edges.first[giver], edges.first[giver + 1]):
            obj, gain = edges.object[edge], base + _value(edges, edge, side)
            if edge == edge_of[giver] or gain <= solver.gain[obj]:
                continue
            if solver.gain[obj] == _NEVER:
                solver.touched[num_touched] = obj
                num_touched += 1
            solver.gain[obj], solver.entry[obj] = gain, edge
            if prediction_of[obj] >= 0 and not solver.waiting[obj]:
                solver.waiting[obj] = True
                solver.queue[tail] = obj
                tail = (tail + 1) % size
        if head == tail:
            return num_touched
        obj = solver.queue[head]
        head = (head + 1) % size
        solver.waiting[obj] = False
        giver = prediction_of[obj]
        base = solver.gain[obj] - _value(edges, edge_of[giver], side)
