"""Flat arrays (one .npz holding both sides) -> `EvaluationSet`, and back."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pcdet_poly.errors import UserError
from pcdet_poly.evaluation.box_tables import EvaluationSet, Objects, Predictions, decide_level
from pcdet_poly.evaluation.tabulate import check_boxes, check_types

_NEEDED = ("pd_frame", "pd_box", "pd_type", "pd_score", "gt_frame", "gt_box", "gt_type")


def read_flat_arrays(path: str | Path) -> EvaluationSet:
    """Read a set from one .npz: `pd_frame box type score nlz`, `gt_frame box type difficulty num_points speed`.

    `pd_nlz`, `gt_difficulty`, `gt_num_points` and `gt_speed` may be missing. Frames are those of either side, in
    ascending order. Raises UserError for a file that is no archive of arrays.
    """
    try:
        with np.load(path) as file:
            arrays = {name: file[name] for name in file.files}
    except (ValueError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: not a readable .npz file; write it again with numpy.savez") from error
    return build_set_of_arrays(arrays, str(path))


def build_set_of_arrays(arrays: Mapping[str, np.ndarray], place: str) -> EvaluationSet:
    """Build the set of the arrays that an .npz holds; `place` is what error messages call them."""
    missing = [name for name in _NEEDED if name not in arrays]
    if missing:
        raise UserError(f"{place}: no array {missing[0]!r}; needed are {', '.join(_NEEDED)}")
    for name, values in arrays.items():
        first = f"{name[:2]}_frame"
        if first in arrays and len(values) != len(arrays[first]):
            raise UserError(
                f"{place}: {name} has {len(values)} rows, {first} {len(arrays[first])}; give one row per box"
            )
    predictions, objects = (
        {name.removeprefix(side): values for name, values in arrays.items() if name.startswith(side)}
        for side in ("pd_", "gt_")
    )
    frames = np.union1d(predictions["frame"], objects["frame"])
    return EvaluationSet(
        _tabulate_predictions(frames, f"{place}: pd_", **predictions),
        _tabulate_objects(frames, f"{place}: gt_", **objects),
        tuple(map(str, frames)),
        ("",) * len(frames),
    )


def _tabulate_predictions(
    frames: np.ndarray,
    place: str,
    *,
    frame: np.ndarray,
    box: np.ndarray,
    type: np.ndarray,
    score: np.ndarray,
    nlz: np.ndarray | None = None,
    **_: np.ndarray,
) -> Predictions:
    """Return the predictions, sorted by their position in `frames` (F,)."""
    num = len(frame)
    rows = Predictions(
        frame=np.searchsorted(frames, frame),
        box=check_boxes(box, f"{place}box"),
        type=check_types(type, f"{place}type"),
        score=score.astype(np.float32),
        in_no_label_zone=np.zeros(num, bool) if nlz is None else np.asarray(nlz, bool),
        image=np.zeros(num, np.uint8),
    )
    return rows[np.argsort(rows.frame, kind="stable")]


def _tabulate_objects(
    frames: np.ndarray,
    place: str,
    *,
    frame: np.ndarray,
    box: np.ndarray,
    type: np.ndarray,
    difficulty: np.ndarray | None = None,
    num_points: np.ndarray | None = None,
    speed: np.ndarray | None = None,
    **_: np.ndarray,
) -> Objects:
    """Return the objects that count, sorted by their position in `frames` (F,)."""
    num = len(frame)
    annotated = np.zeros(num, np.uint8) if difficulty is None else difficulty
    rows = Objects(
        frame=np.searchsorted(frames, frame),
        box=check_boxes(box, f"{place}box"),
        type=check_types(type, f"{place}type"),
        level=annotated.astype(np.uint8) if num_points is None else decide_level(annotated, num_points),
        speed=np.zeros((num, 2), np.float32) if speed is None else speed.astype(np.float32),
        image=np.zeros(num, np.uint8),
        camera=np.full(num, -1, np.int8),
    )
    if num_points is not None:
        rows = rows[num_points > 0]
    return rows[np.argsort(rows.frame, kind="stable")]


def flatten_set(boxes: EvaluationSet) -> dict[str, np.ndarray]:
    """Return the arrays that `read_flat_arrays` reads and Waymo's op takes; an unknown speed becomes 0."""
    predictions, objects = boxes.predictions, boxes.objects
    return {
        "pd_frame": predictions.frame,
        "pd_box": predictions.box,
        "pd_type": predictions.type,
        "pd_score": predictions.score,
        "pd_nlz": predictions.in_no_label_zone,
        "gt_frame": objects.frame,
        "gt_box": objects.box,
        "gt_type": objects.type,
        "gt_difficulty": objects.level,
        "gt_speed": np.nan_to_num(objects.speed, nan=0.0),
    }
