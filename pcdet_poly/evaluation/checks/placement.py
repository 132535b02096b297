"""Predictions that lie on objects, and match none: classes in another order, or boxes that are built otherwise."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

import numpy as np

from pcdet_poly.checks.findings import Finding
from pcdet_poly.errors import UserError
from pcdet_poly.evaluation.box_tables import EvaluationSet

_NEAR_M = 1.0  # centres nearer than this are of one object
_FRAMES = 200  # that are looked at
_ENOUGH = 20  # pairs from which on shares say something
_MANY = 50  # predictions that are not all false
_SOME = 5  # pairs of each class from which on an exchange is sure


def find_confused_classes(
    boxes: EvaluationSet, type_names: Sequence[str], allowed: Collection[str] = ()
) -> Iterator[str]:
    """Yield a line for each class whose predictions lie on objects of another class, and hardly any on its own.

    Args:
        boxes: both sides.
        type_names: names of the types from 1 on.
        allowed: kinds of errors, of `ALLOWABLE` in checks/findings.py, that are meant.

    Raises:
        UserError: where classes are exchanged: what is called A lies on Bs alone, and what is called B on As.
    """
    nearest = count_nearest_types(boxes, len(type_names) + 1)  # (prediction's type, object's type)
    if exchanged := _find_exchange(nearest):
        pairs = ", ".join(f"{type_names[a - 1]} on {type_names[b - 1]}" for a, b in exchanged.items())
        text = f"predictions lie on objects of other classes: {pairs}: are the classes in another order?"
        if Finding("class-order", text).soften(allowed).is_error:
            raise UserError(Finding("class-order", text).soften(allowed).text)
    yield from _find_turned_frame(boxes, nearest)
    for kind, name in enumerate(type_names, 1):
        row = nearest[kind]
        other = int(row.argmax())
        is_most = row[other] >= max(_ENOUGH, 0.8 * row.sum()) and row[kind] <= 0.05 * row.sum()
        if other and other != kind and is_most:
            yield (
                f"of {row.sum()} predictions of {name} that lie on an object, {row[other]} lie on a "
                f"{type_names[other - 1]}: are the classes in another order?"
            )


def _find_turned_frame(boxes: EvaluationSet, nearest: np.ndarray) -> Iterator[str]:
    """Yield a line where predictions lie on objects only in another frame of reference.

    Args:
        boxes: both sides.
        nearest: (T, T) predictions that lie on an object, by both types.
    """
    num_near = int(nearest.sum())
    if num_near >= _ENOUGH or len(boxes.predictions) < _MANY:
        return
    box = boxes.predictions.box
    for columns, signs, text in (
        ((0, 1), (1, -1), "with the other sign of y: y to the right?"),
        ((0, 1), (-1, 1), "with the other sign of x: x backwards?"),
        ((1, 0), (1, -1), "turned by a quarter: y forward?"),
        ((1, 0), (-1, 1), "turned by a quarter: x to the left?"),
    ):
        turned = box.copy()
        turned[:, :2] = box[:, columns] * np.array(signs, np.float32)
        other = replace(boxes, predictions=replace(boxes.predictions, box=turned))
        found = int(count_nearest_types(other, len(nearest)).sum())
        if found > max(5 * num_near, _ENOUGH, 0.1 * len(box)):
            yield f"{num_near} predictions lie on an object, and {found} do {text} boxes are x forward, y left, z up"


def _find_exchange(nearest: np.ndarray) -> dict[int, int]:
    """Return types (prediction's -> object's) that were exchanged among each other; none where that is not sure.

    Args:
        nearest: (T, T) pairs by the prediction's type and the object's.
    """
    leads = {
        kind: int(row.argmax())
        for kind, row in enumerate(nearest)
        if row.sum() >= _SOME and row.max() >= 0.8 * row.sum() and row[kind] <= 0.05 * row.sum() and row.argmax() > 0
    }
    is_cycle = bool(leads) and set(leads) == set(leads.values())
    return leads if is_cycle and nearest[list(leads)].sum() >= _ENOUGH else {}


def count_nearest_types(boxes: EvaluationSet, num_types: int) -> np.ndarray:
    """Count predictions by their type and the type of the object whose centre is nearest, if it is near.

    Returns:
        (num_types, num_types) int64; of at most 200 frames, evenly spaced.
    """
    counts = np.zeros((num_types, num_types), np.int64)
    step = max(boxes.num_frames // _FRAMES, 1)
    for frame in range(0, boxes.num_frames, step):
        predictions, objects = (
            rows[slice(*np.searchsorted(rows.frame, (frame, frame + 1)))] for rows in (boxes.predictions, boxes.objects)
        )
        if not len(predictions) or not len(objects):
            continue
        apart = np.hypot(*(predictions.box[:, None, k] - objects.box[None, :, k] for k in (0, 1)))  # (P, M)
        near = apart.min(axis=1) < _NEAR_M
        np.add.at(counts, (predictions.type[near], objects.type[apart.argmin(axis=1)][near]), 1)
    return counts
