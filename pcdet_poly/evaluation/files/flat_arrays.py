"""Flat arrays (one .npz holding both sides) -> `EvaluationSet`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pcdet_poly.errors import UserError
from pcdet_poly.evaluation.box_tables import EvaluationSet, Objects, Predictions, decide_level
from pcdet_poly.evaluation.tabulate import check_boxes, check_types

_NEEDED = ("pd_frame", "pd_box", "pd_type", "pd_score", "gt_frame", "gt_box", "gt_type")


def read_flat_arrays(path: str | Path) -> EvaluationSet:
    """A problem from one .npz: `pd_frame box type score nlz`, `gt_frame box type difficulty num_points speed`.

    `pd_nlz`, `gt_difficulty`, `gt_num_points` and `gt_speed` may be missing. Frames are those of either side, in
    ascending order.
    """
    with np.load(path) as file:
        return build_set_of_arrays({name: file[name] for name in file.files}, str(path))


def build_set_of_arrays(arrays: Mapping[str, np.ndarray], place: str) -> EvaluationSet:
    """As `read_arrays`, of arrays at hand; `place` is what errors call them."""
    missing = [name for name in _NEEDED if name not in arrays]
    if missing:
        raise UserError(f"{place}: no array {missing[0]!r}; needed are {', '.join(_NEEDED)}")
    for name, values in arrays.items():
        first = f"{name[:2]}_frame"
        if first in arrays and len(values) != len(arrays[first]):
            raise UserError(
                f"{place}: {name} has {len(values)} rows, {first} {len(arrays[first])}; give one row per box"
            )
    frames = np.union1d(arrays["pd_frame"], arrays["gt_frame"])
    return EvaluationSet(
        _tabulate_predictions(arrays, frames, place),
        _tabulate_objects(arrays, frames, place),
        tuple(map(str, frames)),
        ("",) * len(frames),
    )


def _tabulate_predictions(arrays: Mapping[str, np.ndarray], frames: np.ndarray, place: str) -> Predictions:
    num = len(arrays["pd_frame"])
    rows = Predictions(
        frame=np.searchsorted(frames, arrays["pd_frame"]),
        box=check_boxes(arrays["pd_box"], f"{place}: pd_box"),
        type=check_types(arrays["pd_type"], f"{place}: pd_type"),
        score=arrays["pd_score"].astype(np.float32),
        in_no_label_zone=np.asarray(arrays.get("pd_nlz", np.zeros(num, bool)), bool),
        image=np.zeros(num, np.uint8),
    )
    return rows[np.argsort(rows.frame, kind="stable")]


def _tabulate_objects(arrays: Mapping[str, np.ndarray], frames: np.ndarray, place: str) -> Objects:
    num = len(arrays["gt_frame"])
    annotated = arrays.get("gt_difficulty", np.zeros(num, np.uint8))
    points = arrays.get("gt_num_points")
    rows = Objects(
        frame=np.searchsorted(frames, arrays["gt_frame"]),
        box=check_boxes(arrays["gt_box"], f"{place}: gt_box"),
        type=check_types(arrays["gt_type"], f"{place}: gt_type"),
        level=annotated.astype(np.uint8) if points is None else decide_level(annotated, points),
        speed=arrays.get("gt_speed", np.zeros((num, 2))).astype(np.float32),
        image=np.zeros(num, np.uint8),
        camera=np.full(num, -1, np.int8),
    )
    if points is not None:
        rows = rows[points > 0]
    return rows[np.argsort(rows.frame, kind="stable")]
