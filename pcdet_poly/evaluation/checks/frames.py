"""Frames that only one side of an evaluation has: counted, named, and kept only where the user says so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from pcdet_poly.errors import UserError
from pcdet_poly.evaluation.box_tables import AnyTable, EvaluationSet, EvaluationSide, Objects, Predictions

FrameChoice = Literal["union", "predictions", "labels"]
_UNITS = {1_000: "milliseconds", 1_000_000: "seconds"}  # microseconds per unit


def join_checked(
    predictions: EvaluationSide[Predictions],
    labels: EvaluationSide[Objects],
    *,
    place: str,
    choice: FrameChoice | None = None,
) -> tuple[EvaluationSet, str]:
    """Join two sides whose frames must be the same, unless it is said which of them count.

    Args:
        predictions: one side.
        labels: the other one.
        place: what messages call the predictions.
        choice: `union` takes all frames, and one that a side lacks as empty there; `predictions` and `labels` take the
            frames of that side. None refuses sides that differ.

    Returns:
        The set, and a line on the frames that only one side has, empty where there are none.

    Raises:
        UserError: the sides have no frame in common, or differ and there is no choice, or an id cannot be meant.
    """
    _check_ids(predictions.frames, place)
    _check_ids(labels.frames, "labels")
    only = {
        "labels": sorted(set(predictions.frames) - set(labels.frames)),
        "predictions": sorted(set(labels.frames) - set(predictions.frames)),
    }
    if not any(only.values()):
        return EvaluationSet.join(predictions, labels), ""
    if predictions.frames and labels.frames and len(only["labels"]) == len(predictions.frames):
        raise UserError(
            f"{place}: no frame has labels: predictions are of {predictions.frames[0]!r} and so on, labels of "
            f"{labels.frames[0]!r}; {_explain_disjoint(predictions.frames, labels.frames)}"
        )
    parts = [
        f"{len(lacking)} of {len(side.frames)} frames of {name} have no {other} (the first is {lacking[0]})"
        for other, lacking, side, name in (
            ("labels", only["labels"], predictions, "predictions"),
            ("predictions", only["predictions"], labels, "labels"),
        )
        if lacking
    ]
    text = f"{place}: {' and '.join(parts)}"
    if choice is None:
        raise UserError(
            f"{text}; say which count: --frames predictions, --frames labels, or --frames union, which takes a frame "
            "that a side lacks as empty there (a .bin and an .npz do not name frames without boxes)"
        )
    if choice == "predictions":
        labels = _keep_frames(labels, set(predictions.frames))
    if choice == "labels":
        predictions = _keep_frames(predictions, set(labels.frames))
    return EvaluationSet.join(predictions, labels), f"{text}; --frames {choice}"


def _keep_frames(side: EvaluationSide[AnyTable], kept: set[str]) -> EvaluationSide[AnyTable]:
    """Return a side without the frames, and their boxes, that are not among `kept`."""
    is_kept = np.array([frame in kept for frame in side.frames], bool)
    rows = side.rows[is_kept[side.rows.frame]]
    rows = replace(rows, frame=(np.cumsum(is_kept) - 1)[rows.frame])
    return replace(side, rows=rows, frames=tuple(frame for frame in side.frames if frame in kept))


def _check_ids(frames: Sequence[str], place: str) -> None:
    """Refuse ids that are there twice, and times before 0."""
    (twice, times), *_ = Counter(frames).most_common(1) or [("", 0)]
    if times > 1:
        raise UserError(f"{place}: frame {twice} is there {times} times; keep one of them")
    if early := next((frame for frame in frames if frame.rpartition("/")[2].startswith("-")), None):
        raise UserError(f"{place}: frame {early}: a time before 0; write microseconds as whole numbers from 0 on")


def _explain_disjoint(ours: Sequence[str], theirs: Sequence[str]) -> str:
    """Say what may have become of the ids of two sides without a common frame."""
    of_ours, of_theirs = ({frame.rpartition("/")[0] for frame in frames} for frames in (ours, theirs))
    times = [[int(t) for frame in frames if (t := frame.rpartition("/")[2]).isdecimal()] for frames in (ours, theirs)]
    if not of_ours.isdisjoint(of_theirs) and all(times):
        (low, name), (high, other) = sorted(
            zip((float(np.median(of_side)) for of_side in times), ("predictions", "labels"), strict=True)
        )
        for factor, unit in _UNITS.items():
            if 0.9 < high / max(low, 1) / factor < 1.1:
                return f"the {name} seem to count {unit} where the {other} count microseconds: convert their times"
        return "the segments are the same, the times are not: another unit, or times that were rounded or cut?"
    if all(times) and not set(times[0]).isdisjoint(times[1]):
        return "the times are the same, the segments are not: write both sides' names alike"
    return "check that both are of one data set"
