"""Detections -> Waymo's `Objects` .bin files and submissions, one file or the archive that the leaderboard takes."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pcdet_poly.config.sections.evaluation import SubmissionConfig
from pcdet_poly.errors import UserError
from pcdet_poly.evaluation.tabulate import check_boxes, number_types
from pcdet_poly.files import atomic_path
from pcdet_poly.structures import Detections, GroundTruth

_LONGEST_METHOD = 25  # characters
_FRAMES_OF_PART = 5000  # at most 80 MB
_BOX_FIELDS = ("center_x", "center_y", "center_z", "length", "width", "height", "heading")


def select_for_submission(detections: Detections, cfg: SubmissionConfig) -> Detections:
    """Select the detections of a frame that go into the file, by descending score, equal scores in order.

    They are those at or above the score floor, at most as many as the cap allows.
    """
    return detections.numpy()[_order_for_submission(detections, cfg)]


def _order_for_submission(detections: Detections, cfg: SubmissionConfig) -> np.ndarray:
    """Return the positions of the detections that go into the file, in its order."""
    score = np.asarray(detections.numpy().score)
    kept = np.flatnonzero(score >= cfg.min_score)
    order: np.ndarray = kept[np.argsort(-score[kept], kind="stable")[: cfg.max_boxes]]
    return order


def write_predictions(
    path: str | Path,
    frame_ids: Sequence[str],
    detections: Sequence[Detections],
    class_names: Sequence[str],
    cfg: SubmissionConfig | None = None,
    *,
    in_no_label_zone: Sequence[np.ndarray] | None = None,
) -> int:
    """Write an `Objects` file with predictions, whole or not at all.

    Args:
        path: the file, a .bin.
        frame_ids: id of each frame, "segment/timestamp in microseconds".
        detections: of each frame, boxes in the vehicle frame.
        class_names: Waymo's names of the classes that the labels point into.
        cfg: score floor and cap on boxes; the defaults if None.
        in_no_label_zone: per frame, (N,) bool, which detections lie in a no-label zone, written as overlap_with_nlz.

    Returns:
        The number of objects in the file.

    Raises:
        UserError: the lists differ in length, or an id, a box or a class is one that Waymo cannot take.
    """
    objects = _build_objects_message(frame_ids, detections, class_names, cfg or SubmissionConfig(), in_no_label_zone)
    with atomic_path(path) as temporary:
        temporary.write_bytes(objects.SerializeToString())
    return len(objects.objects)


def write_submission(
    path: str | Path,
    frame_ids: Sequence[str],
    detections: Sequence[Detections],
    class_names: Sequence[str],
    cfg: SubmissionConfig,
    *,
    in_no_label_zone: Sequence[np.ndarray] | None = None,
) -> int:
    """Write the predictions and who made them, whole or not at all.

    Args:
        path: a .bin, one `Submission`; or a .tar.gz, the archive that Waymo's server takes: a folder of `Submission`
            files, each with some thousand frames.
        frame_ids: id of each frame, "segment/timestamp in microseconds".
        detections: of each frame, boxes in the vehicle frame.
        class_names: Waymo's names of the classes that the labels point into.
        cfg: score floor, cap on boxes, and who submits which method.
        in_no_label_zone: per frame, (N,) bool, which detections lie in a no-label zone, written as overlap_with_nlz.

    Returns:
        The number of objects in the file.

    Raises:
        UserError: account or method are missing or too long, the lists differ in length, or an id, a box or a class is
            one that Waymo cannot take.
    """
    if not cfg.account_name or not cfg.unique_method_name:
        raise UserError("submission: account_name and unique_method_name are needed by Waymo; set both")
    if len(cfg.unique_method_name) > _LONGEST_METHOD:
        raise UserError(
            f"submission: unique_method_name {cfg.unique_method_name!r} has {len(cfg.unique_method_name)} characters; "
            f"Waymo takes at most {_LONGEST_METHOD}"
        )
    step = _FRAMES_OF_PART if is_archive(path) else max(len(frame_ids), 1)
    parts = []
    for start in range(0, max(len(frame_ids), 1), step):
        part = slice(start, start + step)
        zones = None if in_no_label_zone is None else in_no_label_zone[part]
        objects = _build_objects_message(frame_ids[part], detections[part], class_names, cfg, zones)
        parts.append(_build_submission(objects, class_names, cfg))
    with atomic_path(path) as temporary:
        if is_archive(path):
            _write_archive(temporary, Path(path).name.partition(".")[0], [part.SerializeToString() for part in parts])
        else:
            temporary.write_bytes(parts[0].SerializeToString())
    return sum(len(part.inference_results.objects) for part in parts)


def is_archive(path: str | Path) -> bool:
    """Return whether the name of a submission says that it is an archive."""
    return str(path).lower().endswith((".tar.gz", ".tgz"))


def _build_submission(objects: Any, class_names: Sequence[str], cfg: SubmissionConfig) -> Any:
    """Return the `Submission` message of some of the predictions."""
    from pcdet_poly.protos.metrics import Submission

    return Submission(
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
        object_types=number_types(class_names).tolist(),
        latency_second=cfg.latency_s,
        inference_results=objects,
    )


def _write_archive(path: Path, folder: str, parts: Sequence[bytes]) -> None:
    """Write a .tar.gz with the parts in a folder; equal parts give equal bytes."""
    with (
        open(path, "wb") as file,
        gzip.GzipFile(filename="", fileobj=file, mode="wb", mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w") as archive,
    ):
        for number, content in enumerate(parts):
            entry = tarfile.TarInfo(f"{folder}/part_{number:05d}_of_{len(parts):05d}.bin")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


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

    objects, types = Objects(), number_types(class_names)
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
    frame_ids: Sequence[str],
    detections: Sequence[Detections],
    class_names: Sequence[str],
    cfg: SubmissionConfig,
    in_no_label_zone: Sequence[np.ndarray] | None,
) -> Any:
    """Return the `Objects` message with the detections that `cfg` lets into the file."""
    from pcdet_poly.protos.metrics import Objects

    if len(frame_ids) != len(detections):
        raise UserError(f"submission: {len(frame_ids)} frame ids but {len(detections)} frames of detections")
    zones = in_no_label_zone or [np.zeros(len(frame), bool) for frame in detections]
    objects, types = Objects(), number_types(class_names)
    for frame_id, frame, zone in zip(frame_ids, detections, zones, strict=True):
        order = _order_for_submission(frame, cfg)
        rows = frame.numpy()[order]
        check_boxes(rows.box, f"detections of {frame_id}")
        for box, label, score, in_zone in zip(rows.box, rows.label, rows.score, zone[order], strict=True):
            added = _add_object(objects, frame_id, box, types[label])
            added.score = float(score)
            if in_zone:
                added.overlap_with_nlz = True
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
