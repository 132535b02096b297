"""Flat arrays (one .npz holding both sides) -> `EvaluationSet`, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pcdet_poly.errors import UserError
from pcdet_poly.evaluation.box_tables import EvaluationSet, EvaluationSide, Objects, Predictions, decide_level
from pcdet_poly.evaluation.files.npz_arrays import read_npz
from pcdet_poly.evaluation.tabulate import check_boxes, check_types


@dataclass(frozen=True)
class _Column:
    """What an array of the file must be; the first axis has one element per box."""

    width: int | None = None  # of the second axis; None for arrays of one axis
    is_whole: bool = False  # whole numbers, stored as any kind of number
    limits: tuple[int, int] | None = None  # of whole numbers
    is_needed: bool = True


_COLUMNS = {
    "pd_frame": _Column(is_whole=True),
    "pd_box": _Column(width=7),
    "pd_type": _Column(is_whole=True),
    "pd_score": _Column(),
    "pd_nlz": _Column(is_whole=True, limits=(0, 1), is_needed=False),
    "gt_frame": _Column(is_whole=True),
    "gt_box": _Column(width=7),
    "gt_type": _Column(is_whole=True),
    "gt_difficulty": _Column(is_whole=True, limits=(0, 2), is_needed=False),
    "gt_num_points": _Column(is_whole=True, is_needed=False),
    "gt_speed": _Column(width=2, is_needed=False),
}
_NEEDED = tuple(name for name, column in _COLUMNS.items() if column.is_needed)


def read_flat_arrays(path: str | Path) -> EvaluationSet:
    """Read a set from one .npz: `pd_frame box type score nlz`, `gt_frame box type difficulty num_points speed`.

    `pd_nlz`, `gt_difficulty`, `gt_num_points` and `gt_speed` may be missing. Frames are those of either side, in
    ascending order. Raises UserError where the file is damaged or an array is not what it should be.
    """
    return build_set_of_arrays(read_npz(path), str(path))


def read_flat_sides(path: str | Path) -> tuple[EvaluationSide[Predictions], EvaluationSide[Objects]]:
    """Read the same as two sides, each with its own frames: those of its rows, also of objects that never count."""
    arrays = read_npz(path)
    boxes = build_set_of_arrays(arrays, str(path))
    found, labelled = (np.unique(arrays[name]).astype(np.int64) for name in ("pd_frame", "gt_frame"))
    every = np.unique(np.concatenate([found, labelled]))
    predictions = replace(boxes.predictions, frame=np.searchsorted(found, every[boxes.predictions.frame]))
    objects = replace(boxes.objects, frame=np.searchsorted(labelled, every[boxes.objects.frame]))
    return (
        EvaluationSide(predictions, tuple(map(str, found.tolist()))),
        EvaluationSide(objects, tuple(map(str, labelled.tolist()))),
    )


def build_set_of_arrays(arrays: Mapping[str, np.ndarray], place: str) -> EvaluationSet:
    """Build the set of the arrays that an .npz holds; `place` is what error messages call them.

    Arrays of other names are not looked at. Raises UserError where an array is missing or not what it should be.
    """
    missing = [name for name in _NEEDED if name not in arrays]
    if missing:
        raise UserError(f"{place}: no array {missing[0]!r}; needed are {', '.join(_NEEDED)}")
    sides: dict[str, dict[str, np.ndarray]] = {"pd": {}, "gt": {}}
    for name in filter(arrays.__contains__, _COLUMNS):
        side, _, column = name.partition("_")
        sides[side][column] = _check_column(arrays[name], name, place)
        num, num_frames = len(arrays[name]), len(arrays[f"{side}_frame"])
        if num != num_frames:
            raise UserError(f"{place}: {name} has {num} rows, {side}_frame {num_frames}; give one row per box")
    predictions, objects = sides.values()
    frames = np.unique(np.concatenate([side["frame"] for side in sides.values()]))
    return EvaluationSet(
        _tabulate_predictions(frames, f"{place}: pd_", **predictions),
        _tabulate_objects(frames, f"{place}: gt_", **objects),
        tuple(map(str, frames)),
        ("",) * len(frames),
    )


def _check_column(values: np.ndarray, name: str, place: str) -> np.ndarray:
    """Return the array, whole numbers as int64. Raises UserError where it is not what the column must be."""
    column = _COLUMNS[name]
    shape = "(N,)" if column.width is None else f"(N, {column.width})"
    if values.dtype.kind not in "biuf":
        raise UserError(f"{place}: {name} is an array of {values.dtype}; give numbers {shape}")
    if values.shape[1:] != (() if column.width is None else (column.width,)) or values.ndim == 0:
        raise UserError(f"{place}: {name} has the shape {values.shape}; give numbers {shape}")
    if not column.is_whole:
        return values
    bad = np.flatnonzero(~_is_whole(values))
    if column.limits and not len(bad):
        bad = np.flatnonzero((values < column.limits[0]) | (values > column.limits[1]))
    if len(bad):
        wanted = "whole numbers {} to {}".format(*column.limits) if column.limits else "whole numbers"
        raise UserError(f"{place}: {name} of box {bad[0]} is {values[bad[0]]}; give {wanted}")
    return values.astype(np.int64)


def _is_whole(values: np.ndarray) -> np.ndarray:
    """Tell which values int64 can hold exactly, (N,) bool; of floats, those that say exactly which number they are."""
    if values.dtype.kind == "f":
        return (np.abs(values) <= 2**53) & (values == np.floor(values))
    return values <= np.iinfo(np.int64).max


def _tabulate_predictions(
    frames: np.ndarray,
    place: str,
    *,
    frame: np.ndarray,
    box: np.ndarray,
    type: np.ndarray,
    score: np.ndarray,
    nlz: np.ndarray | None = None,
) -> Predictions:
    """Return the predictions, sorted by their position in `frames` (F,)."""
    num = len(frame)
    rows = Predictions(
        frame=np.searchsorted(frames, frame),
        box=check_boxes(_to_float32(box), f"{place}box"),
        type=check_types(type, f"{place}type"),
        score=_to_float32(score),
        in_no_label_zone=np.zeros(num, bool) if nlz is None else nlz.astype(bool),
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
) -> Objects:
    """Return the objects that count, sorted by their position in `frames` (F,)."""
    num = len(frame)
    annotated = np.zeros(num, np.int64) if difficulty is None else difficulty
    rows = Objects(
        frame=np.searchsorted(frames, frame),
        box=check_boxes(_to_float32(box), f"{place}box"),
        type=check_types(type, f"{place}type"),
        level=annotated.astype(np.uint8) if num_points is None else decide_level(annotated, num_points),
        speed=np.zeros((num, 2), np.float32) if speed is None else _to_float32(speed),
        image=np.zeros(num, np.uint8),
        camera=np.full(num, -1, np.int8),
    )
    if num_points is not None:
        rows = rows[num_points > 0]
    return rows[np.argsort(rows.frame, kind="stable")]


def _to_float32(values: np.ndarray) -> np.ndarray:
    """Return the values as float32; those that are too large become infinite, without a warning."""
    with np.errstate(over="ignore"):
        return values.astype(np.float32)


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
