"""Detections and labels as the rest of the project has them -> one `EvaluationSet`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pcdet_poly.errors import UserError
from pcdet_poly.evaluation.box_tables import EvaluationSet, Objects, Predictions, decide_level
from pcdet_poly.structures import WAYMO_CLASSES, Detections, GroundTruth

Limits = tuple[float, float, float, float]  # x0, y0, x1, y1, metres


def build_evaluation_set(
    detections: Sequence[Detections],
    ground_truth: Sequence[GroundTruth],
    *,
    class_names: Sequence[str],
    no_label_zone: Sequence[np.ndarray] | None = None,
    segments: Sequence[str] | None = None,
) -> EvaluationSet:
    """Frame i has `detections[i]` and `ground_truth[i]`; labels of both point into `class_names`.

    `no_label_zone[i]` (N,) says which detections lie in a no-label zone; `segments[i]` names the frame's segment.
    """
    num = len(detections)
    for name, given in (("ground truths", ground_truth), ("no_label_zone", no_label_zone), ("segments", segments)):
        if given is not None and len(given) != num:
            raise UserError(f"{num} frames of detections but {len(given)} of {name}; give one for each frame")
    names = tuple(str(i) for i in range(num))
    return EvaluationSet(
        tabulate_predictions(detections, class_names=class_names, names=names, no_label_zone=no_label_zone),
        tabulate_objects(ground_truth, class_names=class_names, names=names),
        names,
        tuple(segments) if segments is not None else ("",) * num,
    )


def tabulate_predictions(
    detections: Sequence[Detections],
    *,
    class_names: Sequence[str],
    names: Sequence[str],
    no_label_zone: Sequence[np.ndarray] | None = None,
) -> Predictions:
    """All detections in one table; `names` are what errors call the frames."""
    types, parts = waymo_types(class_names), [Predictions.empty()]
    for i, frame in enumerate(detections):
        rows, place = frame.numpy(), f"detections of frame {names[i]}"
        zone = np.zeros(len(rows), bool) if no_label_zone is None else np.asarray(no_label_zone[i], bool)
        parts.append(
            Predictions(
                frame=np.full(len(rows), i, np.int64),
                box=check_boxes(rows.box, place),
                type=_look_up_types(rows.label, types, place),
                score=np.asarray(rows.score, np.float32),
                in_no_label_zone=zone,
                image=np.zeros(len(rows), np.uint8),
            )
        )
    return Predictions.concatenate(parts)


def tabulate_objects(
    ground_truth: Sequence[GroundTruth], *, class_names: Sequence[str], names: Sequence[str]
) -> Objects:
    """All labelled objects that count in one table: those with a LiDAR point, their level decided."""
    types, parts = waymo_types(class_names), [Objects.empty()]
    for i, frame in enumerate(ground_truth):
        rows, place = frame.numpy(), f"ground truth of frame {names[i]}"
        every = Objects(
            frame=np.full(len(rows), i, np.int64),
            box=check_boxes(rows.box, place),
            type=_look_up_types(rows.label, types, place),
            level=decide_level(rows.level, rows.num_points),
            speed=np.asarray(rows.speed, np.float32),
            image=np.zeros(len(rows), np.uint8),
            camera=np.full(len(rows), -1, np.int8),
        )
        parts.append(every[np.asarray(rows.num_points) > 0])
    return Objects.concatenate(parts)


def waymo_types(class_names: Sequence[str]) -> np.ndarray:
    """(K,) uint8 Label.Type of each class."""
    unknown = [name for name in class_names if name not in WAYMO_CLASSES]
    if unknown:
        raise UserError(f"class {unknown[0]!r}: Waymo's metrics know {', '.join(WAYMO_CLASSES)}; map it to one of them")
    return np.array([WAYMO_CLASSES.index(name) + 1 for name in class_names], np.uint8)


def _look_up_types(label: np.ndarray, types: np.ndarray, place: str) -> np.ndarray:
    outside = np.flatnonzero((label < 0) | (label >= len(types)))
    if len(outside):
        row = outside[0]
        raise UserError(f"{place}: box {row} has label {label[row]} of {len(types)} classes; labels start at 0")
    return types[label.astype(np.int64)]


def check_boxes(box: np.ndarray, place: str, first: int = 0) -> np.ndarray:
    """The boxes as float32 (N, 7), or an error that names the first one with a NaN.

    The official tool aborts on NaN and on infinite headings. An infinite centre or size overlaps nothing, as there.
    """
    single = np.ascontiguousarray(box, np.float32).reshape(-1, 7)
    bad = np.flatnonzero(np.isnan(single).any(axis=1) | np.isinf(single[:, 6]))
    if len(bad):
        values = ", ".join(f"{value:g}" for value in single[bad[0]])
        raise UserError(f"{place}: box {first + bad[0]} is ({values}); drop it or mend what made it")
    return single


def check_types(types: np.ndarray, place: str, first: int = 0) -> np.ndarray:
    """(N,) uint8 types, or an error that names the first one that Waymo does not know."""
    bad = np.flatnonzero((types < 0) | (types > len(WAYMO_CLASSES)))
    if len(bad):
        raise UserError(
            f"{place}: box {first + bad[0]} has type {types[bad[0]]}; Waymo's types are 0 (unknown) to 4 (cyclist)"
        )
    return types.astype(np.uint8)


def crop_to_limits(problem: EvaluationSet, within: Limits | None) -> EvaluationSet:
    """The problem without boxes, on either side, whose centre lies outside `within`."""
    if within is None:
        return problem
    x0, y0, x1, y1 = within

    def kept(box: np.ndarray) -> np.ndarray:
        return (box[:, 0] >= x0) & (box[:, 1] >= y0) & (box[:, 0] <= x1) & (box[:, 1] <= y1)

    predictions, objects = problem.predictions, problem.objects
    return EvaluationSet(
        predictions[kept(predictions.box)], objects[kept(objects.box)], problem.frames, problem.segments
    )
