"""Detections and labels as the rest of the project has them -> one `Problem`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pcdet_poly.errors import UserError
from pcdet_poly.evaluation.records import Objects, Predictions, Problem, decided_level
from pcdet_poly.structures import WAYMO_CLASSES, Detections, GroundTruth

Limits = tuple[float, float, float, float]  # x0, y0, x1, y1, metres


def waymo_types(class_names: Sequence[str]) -> np.ndarray:
    """(K,) uint8 Label.Type of each class."""
    unknown = [name for name in class_names if name not in WAYMO_CLASSES]
    if unknown:
        raise UserError(f"class {unknown[0]!r}: Waymo's metrics know {', '.join(WAYMO_CLASSES)}; map it to one of them")
    return np.array([WAYMO_CLASSES.index(name) + 1 for name in class_names], np.uint8)


def problem_of_frames(
    detections: Sequence[Detections],
    ground_truth: Sequence[GroundTruth],
    *,
    class_names: Sequence[str],
    no_label_zone: Sequence[np.ndarray] | None = None,
    segments: Sequence[str] | None = None,
) -> Problem:
    """Frame i has `detections[i]` and `ground_truth[i]`; labels of both point into `class_names`.

    `no_label_zone[i]` (N,) says which detections lie in a no-label zone; `segments[i]` names the frame's segment.
    """
    for name, given in (("ground truths", ground_truth), ("no_label_zone", no_label_zone), ("segments", segments)):
        if given is not None and len(given) != len(detections):
            raise UserError(
                f"{len(detections)} frames of detections but {len(given)} of {name}; give one for each frame"
            )
    types = waymo_types(class_names)
    zones = no_label_zone or [np.zeros(len(rows), bool) for rows in detections]
    predictions = [
        _predictions(i, rows.numpy(), zone, types) for i, (rows, zone) in enumerate(zip(detections, zones, strict=True))
    ]
    objects = [_objects(i, rows.numpy(), types) for i, rows in enumerate(ground_truth)]
    return Problem(
        Predictions.concatenate([_predictions(0, Detections.empty(), np.zeros(0, bool), types), *predictions]),
        Objects.concatenate([_objects(0, GroundTruth.empty(), types), *objects]),
        tuple(str(i) for i in range(len(detections))),
        tuple(segments) if segments is not None else ("",) * len(detections),
    )


def _types_of(label: np.ndarray, types: np.ndarray, place: str) -> np.ndarray:
    outside = np.flatnonzero((label < 0) | (label >= len(types)))
    if len(outside):
        row = outside[0]
        raise UserError(f"{place}, row {row}: label {label[row]} of {len(types)} classes; labels start at 0")
    return types[label.astype(np.int64)]


def _predictions(frame: int, rows: Detections, zone: np.ndarray, types: np.ndarray) -> Predictions:
    num, place = len(rows), f"detections of frame {frame}"
    return Predictions(
        frame=np.full(num, frame, np.int64),
        box=finite_boxes(rows.box, place),
        type=_types_of(rows.label, types, place),
        score=rows.score.astype(np.float32),
        in_no_label_zone=np.asarray(zone, bool),
        image=np.zeros(num, np.uint8),
    )


def _objects(frame: int, rows: GroundTruth, types: np.ndarray) -> Objects:
    place = f"ground truth of frame {frame}"
    box, kind = finite_boxes(rows.box, place), _types_of(rows.label, types, place)
    every = Objects(
        frame=np.full(len(rows), frame, np.int64),
        box=box,
        type=kind,
        level=decided_level(rows.level, rows.num_points),
        speed=rows.speed.astype(np.float32),
        image=np.zeros(len(rows), np.uint8),
        camera=np.full(len(rows), -1, np.int8),
    )
    return every[np.asarray(rows.num_points) > 0]


def finite_boxes(box: np.ndarray, place: str) -> np.ndarray:
    """The boxes as float32 (N, 7), or an error that names the first one with a NaN or an infinity."""
    single = np.ascontiguousarray(box, np.float32).reshape(-1, 7)
    bad = np.flatnonzero(~np.isfinite(single).all(axis=1))
    if len(bad):
        values = ", ".join(f"{value:g}" for value in single[bad[0]])
        raise UserError(f"{place}, row {bad[0]}: box ({values}) is not finite; drop it or mend what made it")
    return single


def inside(problem: Problem, within: Limits | None) -> Problem:
    """The problem without boxes, on either side, whose centre lies outside `within`."""
    if within is None:
        return problem
    x0, y0, x1, y1 = within

    def kept(box: np.ndarray) -> np.ndarray:
        return (box[:, 0] >= x0) & (box[:, 1] >= y0) & (box[:, 0] <= x1) & (box[:, 1] <= y1)

    predictions, objects = problem.predictions, problem.objects
    return Problem(predictions[kept(predictions.box)], objects[kept(objects.box)], problem.frames, problem.segments)
