"""Detections and labels as the rest of the project has them -> one `EvaluationSet`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pcdet_poly.errors import UserError
from pcdet_poly.evaluation.box_tables import EvaluationSet, Objects, Predictions, decide_level
from pcdet_poly.evaluation.checks.rows import check_scores
from pcdet_poly.structures import WAYMO_CLASSES, Detections, GroundTruth

Limits = tuple[float, float, float, float]  # x0, y0, x1, y1, metres


def build_evaluation_set(
    detections: Sequence[Detections],
    ground_truth: Sequence[GroundTruth],
    *,
    class_names: Sequence[str],
    no_label_zone: Sequence[np.ndarray] | None = None,
    segments: Sequence[str] | None = None,
    type_names: Sequence[str] = WAYMO_CLASSES,
) -> EvaluationSet:
    """Put the detections and labels of F frames into one set.

    Args:
        detections: of each frame, boxes in the vehicle frame.
        ground_truth: labels of each frame, in the same order.
        class_names: names of the classes that the labels of both sides point into.
        no_label_zone: per frame, (N,) bool, which detections lie in a no-label zone; by default none does.
        segments: name of each frame's segment; by default all frames are of one without a name.
        type_names: types of objects that the metrics know, from type 1 on.

    Returns:
        The set; its frames are called "0", "1" and so on.

    Raises:
        UserError: the lists differ in length, or a box, score, label or class is one that the metrics cannot take.
    """
    num = len(detections)
    for name, given in (("ground truths", ground_truth), ("no_label_zone", no_label_zone), ("segments", segments)):
        if given is not None and len(given) != num:
            raise UserError(f"{num} frames of detections but {len(given)} of {name}; give one for each frame")
    frames = tuple(str(i) for i in range(num))
    predictions = tabulate_predictions(
        detections, class_names=class_names, frame_names=frames, no_label_zone=no_label_zone, type_names=type_names
    )
    check_scores(predictions.score, "detections")
    return EvaluationSet(
        predictions,
        tabulate_objects(ground_truth, class_names=class_names, frame_names=frames, type_names=type_names),
        frames,
        tuple(segments) if segments is not None else ("",) * num,
    )


def tabulate_predictions(
    detections: Sequence[Detections],
    *,
    class_names: Sequence[str],
    frame_names: Sequence[str],
    no_label_zone: Sequence[np.ndarray] | None = None,
    type_names: Sequence[str] = WAYMO_CLASSES,
) -> Predictions:
    """Put the detections of all frames into one table.

    Args:
        detections: of each frame, boxes in the vehicle frame.
        class_names: names of the classes that the labels point into.
        frame_names: what error messages call each frame.
        no_label_zone: per frame, (N,) bool, which detections lie in a no-label zone; by default none does.
        type_names: types of objects that the metrics know, from type 1 on.

    Returns:
        The table, frame by frame; `frame` is the position in `detections`.

    Raises:
        UserError: a box has a NaN or an infinite heading, a label no class, or a class no type.
    """
    types, parts = number_types(class_names, type_names), [Predictions.empty()]
    for i, frame in enumerate(detections):
        rows, place = frame.numpy(), f"detections of frame {frame_names[i]}"
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
    ground_truth: Sequence[GroundTruth],
    *,
    class_names: Sequence[str],
    frame_names: Sequence[str],
    type_names: Sequence[str] = WAYMO_CLASSES,
) -> Objects:
    """Put the labelled objects of all frames that count into one table: those with a LiDAR point.

    Args:
        ground_truth: labels of each frame, boxes in the vehicle frame.
        class_names: names of the classes that the labels point into.
        frame_names: what error messages call each frame.
        type_names: types of objects that the metrics know, from type 1 on.

    Returns:
        The table, frame by frame; `frame` is the position in `ground_truth`, `level` is decided.

    Raises:
        UserError: a box has a NaN or an infinite heading, a label no class, or a class no type.
    """
    types, parts = number_types(class_names, type_names), [Objects.empty()]
    for i, frame in enumerate(ground_truth):
        rows, place = frame.numpy(), f"ground truth of frame {frame_names[i]}"
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


def number_types(class_names: Sequence[str], type_names: Sequence[str] = WAYMO_CLASSES) -> np.ndarray:
    """Return the type of each class, (K,) uint8, by default Waymo's Label.Type.

    Raises UserError for a class that is not among the types.
    """
    unknown = [name for name in class_names if name not in type_names]
    if unknown:
        who = "Waymo's metrics know" if tuple(type_names) == WAYMO_CLASSES else "these metrics know"
        raise UserError(
            f"class {unknown[0]!r}: {who} {', '.join(type_names)}; map it to one of them, or write "
            f"evaluation.metrics.iou_thresholds: {{{unknown[0]}: 0.7}}"
        )
    return np.array([type_names.index(name) + 1 for name in class_names], np.uint8)


def _look_up_types(label: np.ndarray, types: np.ndarray, place: str) -> np.ndarray:
    """Return the type (N,) uint8 of each label (N,), which points into `types` (K,)."""
    outside = np.flatnonzero((label < 0) | (label >= len(types)))
    if len(outside):
        row = outside[0]
        raise UserError(f"{place}: box {row} has label {label[row]} of {len(types)} classes; labels start at 0")
    return types[label.astype(np.int64)]


def check_boxes(box: np.ndarray, place: str, first: int = 0) -> np.ndarray:
    """Return the boxes as float32, or raise an error that names the first one with a NaN or an infinite heading.

    Waymo's tool aborts on these. An infinite centre or size is taken: such a box overlaps nothing, as there.

    Args:
        box: (N, 7) x y z length width height heading.
        place: where the boxes come from, for the error message.
        first: number of the first box in its file, for the error message.

    Returns:
        (N, 7) float32, contiguous.

    Raises:
        UserError: a box has a NaN or an infinite heading.
    """
    single = np.ascontiguousarray(box, np.float32).reshape(-1, 7)
    bad = np.flatnonzero(np.isnan(single).any(axis=1) | np.isinf(single[:, 6]))
    if len(bad):
        values = ", ".join(f"{value:g}" for value in single[bad[0]])
        raise UserError(f"{place}: box {first + bad[0]} is ({values}); drop it or mend what made it")
    return single


def check_types(types: np.ndarray, place: str, first: int = 0) -> np.ndarray:
    """Return the types as uint8, or raise an error that names the first one that Waymo does not know.

    Args:
        types: (N,) integers, Waymo's Label.Type.
        place: where the types come from, for the error message.
        first: number of the first box in its file, for the error message.

    Returns:
        (N,) uint8.

    Raises:
        UserError: a type is not one of 0 to 4.
    """
    bad = np.flatnonzero((types < 0) | (types > len(WAYMO_CLASSES)))
    if len(bad):
        raise UserError(
            f"{place}: box {first + bad[0]} has type {types[bad[0]]}; Waymo's types are 0 (unknown) to 4 (cyclist)"
        )
    return types.astype(np.uint8)


def crop_to_limits(boxes: EvaluationSet, within: Limits | None) -> EvaluationSet:
    """Return the set without boxes, on either side, whose centre lies outside `within`; as it is for None."""
    if within is None:
        return boxes
    x0, y0, x1, y1 = within

    def is_inside(box: np.ndarray) -> np.ndarray:
        return (box[:, 0] >= x0) & (box[:, 1] >= y0) & (box[:, 0] <= x1) & (box[:, 1] <= y1)

    predictions, objects = boxes.predictions, boxes.objects
    return EvaluationSet(
        predictions[is_inside(predictions.box)], objects[is_inside(objects.box)], boxes.frames, boxes.segments
    )
