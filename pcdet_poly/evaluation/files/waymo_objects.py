"""Waymo's `Objects` .bin files -> predictions or labelled objects."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from pcdet_poly.errors import UserError
from pcdet_poly.evaluation.box_tables import EvaluationSide, Objects, Predictions, decide_level
from pcdet_poly.evaluation.files.message_chunks import read_message_chunks
from pcdet_poly.evaluation.tabulate import check_boxes, check_types

CAMERA_NAMES = ("UNKNOWN", "FRONT", "FRONT_LEFT", "FRONT_RIGHT", "SIDE_LEFT", "SIDE_RIGHT")


def read_prediction_file(path: str | Path) -> EvaluationSide[Predictions]:
    """Read the predictions of an `Objects` file, as submitted to Waymo."""
    frames: dict[str, int] = {}
    parts = [
        Predictions(
            frame=_number_frames(objects, frames),
            box=check_boxes(np.array([_read_box(o.object.box) for o in objects]), str(path), first),
            type=check_types(np.array([o.object.type for o in objects]), str(path), first),
            score=np.array([o.score for o in objects], np.float32),
            in_no_label_zone=np.array([o.overlap_with_nlz for o in objects]),
            image=np.array([o.camera_name for o in objects], np.uint8),
        )
        for first, objects in _read_object_chunks(path)
    ]
    return EvaluationSide(Predictions.concatenate(parts) if parts else Predictions.empty(), tuple(frames))


def read_label_file(path: str | Path, *, camera_only: bool = False) -> EvaluationSide[Objects]:
    """Read the labelled objects of an `Objects` file that count: those with a LiDAR point, their level decided.

    With `camera_only`, as in Waymo's camera-only challenge, points are those of the TOP LiDAR, boxes are synchronised
    with the camera, and an object that no camera sees does not count.
    """
    frames: dict[str, int] = {}
    parts = []
    for first, objects in _read_object_chunks(path):
        kinds = np.array([o.object.type for o in objects])
        boxes = np.array([_read_box(o.object.camera_synced_box if camera_only else o.object.box) for o in objects])
        points = np.array(
            [o.object.num_top_lidar_points_in_box if camera_only else o.object.num_lidar_points_in_box for o in objects]
        )
        level = np.array([o.object.detection_difficulty_level for o in objects])
        camera = np.array([_read_camera(o.object) for o in objects], np.int8)
        every = Objects(
            frame=_number_frames(objects, frames),
            box=check_boxes(boxes, str(path), first),
            type=check_types(kinds, str(path), first),
            level=decide_level(level, points),
            speed=np.array([(o.object.metadata.speed_x, o.object.metadata.speed_y) for o in objects], np.float32),
            image=np.array([o.camera_name for o in objects], np.uint8),
            camera=camera,
        )
        parts.append(every[(points > 0) & ((camera > 0) | (not camera_only))])
    return EvaluationSide(Objects.concatenate(parts) if parts else Objects.empty(), tuple(frames))


def _read_object_chunks(path: str | Path) -> Iterator[tuple[int, Any]]:
    """Yield the number of the first object and Object messages, some thousands at a time."""
    from pcdet_poly.protos.metrics import Objects as ObjectsMessage

    for first, data in read_message_chunks(path):
        try:
            yield first, ObjectsMessage.FromString(data).objects
        except DecodeError as error:
            raise UserError(f"{path}: an object from number {first} on does not parse; copy the file again") from error


def _number_frames(objects: Any, frames: dict[str, int]) -> np.ndarray:
    """Return the position (N,) of each object's frame in `frames`, to which new frames are added."""
    return np.array([frames.setdefault(_build_frame_id(o), len(frames)) for o in objects], np.int64)


def _build_frame_id(o: Any) -> str:
    """Return segment and timestamp as one id; images of a camera are frames of their own."""
    segment = f"{o.context_name}_{CAMERA_NAMES[o.camera_name]}" if o.camera_name else o.context_name
    return f"{segment}/{o.frame_timestamp_micros}"


def _read_box(b: Any) -> tuple[float, ...]:
    """Return x, y, z, length, width, height and heading of a Box message."""
    return b.center_x, b.center_y, b.center_z, b.length, b.width, b.height, b.heading


def _read_camera(label: Any) -> int:
    """Return the most visible camera: its number, 0 for a name that is none, -1 where the label has no such field."""
    if not label.HasField("most_visible_camera_name"):
        return -1
    name = label.most_visible_camera_name
    return CAMERA_NAMES.index(name) if name in CAMERA_NAMES else 0
