"""Detections -> Waymo's `Objects` .bin files and submissions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pcdet_poly.config.sections.evaluation import SubmissionConfig
from pcdet_poly.errors import UserError
from pcdet_poly.evaluation.tabulate import check_boxes, waymo_types
from pcdet_poly.files import atomic_path
from pcdet_poly.structures import Detections, GroundTruth

_BOX_FIELDS = ("center_x", "center_y", "center_z", "length", "width", "height", "heading")


def select_for_submission(detections: Detections, cfg: SubmissionConfig) -> Detections:
    """Select the detections of a frame that go into the file, by descending score, equal scores in order.

    They are those at or above the score floor, at most as many as the cap allows.
    """
    rows = detections.numpy()
    rows = rows[np.asarray(rows.score) >= cfg.min_score]
    return rows[np.argsort(-rows.score, kind="stable")[: cfg.max_boxes]]


def write_predictions(
    path: str | Path,
    frame_ids: Sequence[str],
    detections: Sequence[Detections],
    class_names: Sequence[str],
    cfg: SubmissionConfig | None = None,
) -> int:
    """Write an `Objects` file with predictions, whole or not at all.

    Args:
        path: the file, a .bin.
        frame_ids: id of each frame, "segment/timestamp in microseconds".
        detections: of each frame, boxes in the vehicle frame.
        class_names: Waymo's names of the classes that the labels point into.
        cfg: score floor and cap on boxes; the defaults if None.

    Returns:
        The number of objects in the file.

    Raises:
        UserError: the lists differ in length, or an id, a box or a class is one that Waymo cannot take.
    """
    objects = _build_objects_message(frame_ids, detections, class_names, cfg or SubmissionConfig())
    with atomic_path(path) as temporary:
        temporary.write_bytes(objects.SerializeToString())
    return len(objects.objects)


def write_submission(
    path: str | Path,
    frame_ids: Sequence[str],
    detections: Sequence[Detections],
    class_names: Sequence[str],
    cfg: SubmissionConfig,
) -> int:
    """Write a `Submission` file with the predictions and who made them, whole or not at all.

    Args:
        path: the file, a .bin.
        frame_ids: id of each frame, "segment/timestamp in microseconds".
        detections: of each frame, boxes in the vehicle frame.
        class_names: Waymo's names of the classes that the labels point into.
        cfg: score floor, cap on boxes, and who submits which method.

    Returns:
        The number of objects in the file.

    Raises:
        UserError: account or method are missing, the lists differ in length, or an id, a box or a class is one that
            Waymo cannot take.
    """
    from pcdet_poly.protos.metrics import Submission

    if not cfg.account_name or not cfg.unique_method_name:
        raise UserError("submission: account_name and unique_method_name are needed by Waymo; set both")
    submission = Submission(
        task=2,  # DETECTION_3D
        account_name=cfg.account_name,
        unique_method_name=cfg.unique_method_name,
        authors=cfg.authors,
        affiliation=cfg.affiliation,
        description=cfg.description,
        method_link=cfg.method_link,
        sensor_type=1,  # LIDAR_ALL
        number_past_frames_exclude_current=cfg.past_frames,
        number_future_frames_exclude_current=0,
        object_types=waymo_types(class_names).tolist(),
        latency_second=cfg.latency_s,
        inference_results=_build_objects_message(frame_ids, detections, class_names, cfg),
    )
    with atomic_path(path) as temporary:
        temporary.write_bytes(submission.SerializeToString())
    return len(submission.inference_results.objects)


def write_labels(
    path: str | Path, frame_ids: Sequence[str], ground_truth: Sequence[GroundTruth], class_names: Sequence[str]
) -> None:
    """Write labels as the `Objects` file that Waymo's tools take as ground truth.

    Args:
        path: the file, a .bin.
        frame_ids: id of each frame, "segment/timestamp in microseconds".
        ground_truth: labels of each frame, boxes in the vehicle frame.
        class_names: Waymo's names of the classes that the labels point into.

    Raises:
        UserError: an id or a class is one that Waymo cannot take.
    """
    from pcdet_poly.protos.metrics import Objects

    objects, types = Objects(), waymo_types(class_names)
    for frame_id, frame in zip(frame_ids, ground_truth, strict=True):
        rows = frame.numpy()
        for i in range(len(rows)):
            added = _add_object(objects, frame_id, rows.box[i], types[rows.label[i]]).object
            added.id = str(rows.track[i])
            added.num_lidar_points_in_box = int(rows.num_points[i])
            if rows.level[i] > 0:
                added.detection_difficulty_level = int(rows.level[i])
            if np.isfinite(rows.speed[i]).all():
                added.metadata.speed_x, added.metadata.speed_y = map(float, rows.speed[i])
    with atomic_path(path) as temporary:
        temporary.write_bytes(objects.SerializeToString())


def _build_objects_message(
    frame_ids: Sequence[str], detections: Sequence[Detections], class_names: Sequence[str], cfg: SubmissionConfig
) -> Any:
    """Return the `Objects` message with the detections that `cfg` lets into the file."""
    from pcdet_poly.protos.metrics import Objects

    if len(frame_ids) != len(detections):
        raise UserError(f"submission: {len(frame_ids)} frame ids but {len(detections)} frames of detections")
    objects, types = Objects(), waymo_types(class_names)
    for frame_id, frame in zip(frame_ids, detections, strict=True):
        rows = select_for_submission(frame, cfg)
        check_boxes(rows.box, f"detections of {frame_id}")
        for box, label, score in zip(rows.box, rows.label, rows.score, strict=True):
            _add_object(objects, frame_id, box, types[label]).score = float(score)
    return objects


def _add_object(objects: Any, frame_id: str, box: np.ndarray, kind: int) -> Any:
    """Add an object with a frame, a box (7,) and a type to the message `objects`, and return it."""
    segment, _, timestamp = frame_id.rpartition("/")
    if not segment or not timestamp.isdecimal():
        raise UserError(f"frame id {frame_id!r}: Waymo's files need 'segment/timestamp in microseconds'")
    added = objects.objects.add(context_name=segment, frame_timestamp_micros=int(timestamp))
    added.object.type = int(kind)
    for name, value in zip(_BOX_FIELDS, box, strict=True):
        setattr(added.object.box, name, float(value))
    return added
