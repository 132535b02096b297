"""What a viewer shows: a frame's points, its labels, what a detector found in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pcdet_poly.ops.arrays.points_in_boxes import first_box
from pcdet_poly.structures import Detections, Frame, GroundTruth


@dataclass(frozen=True)
class View:
    """One frame. Labels of both kinds of boxes point into `class_names`."""

    frame_id: str
    xyz: np.ndarray  # (P, 3) float32, metres, vehicle frame
    intensity: np.ndarray  # (P,) float32, tanh of the raw one
    return_number: np.ndarray  # (P,) int64; 0 where the source does not say
    labels: GroundTruth
    detections: Detections | None  # None where no detector has looked
    class_names: tuple[str, ...]

    def classify_points(self) -> tuple[np.ndarray, np.ndarray]:
        """(P,) int64 class and (P,) float32 score of each point: of the detection around it, else of the label.

        -1 for a class where there is none of either, NaN for a score where there is no detection.
        """
        of_label = first_box(self.xyz, self.labels.box)
        kind = _take_or_default(self.labels.label, of_label, -1)
        if self.detections is None:
            return kind, np.full(len(self.xyz), np.nan, np.float32)
        of_detection = first_box(self.xyz, self.detections.box)
        detected = _take_or_default(self.detections.label, of_detection, -1)
        return np.where(of_detection >= 0, detected, kind), _take_or_default(
            self.detections.score, of_detection, np.nan
        )


@dataclass(frozen=True)
class ViewSource:
    """Frames that are made when they are looked at."""

    title: str
    frame_ids: tuple[str, ...]
    load_view: Callable[[int], View]


def build_view(
    frame: Frame, labels: GroundTruth, detections: Detections | None, class_names: Sequence[str], *, min_score: float
) -> View:
    """A view of `frame` with the detections of at least `min_score`."""
    found = None if detections is None else detections[detections.score >= min_score]
    xyz = np.ascontiguousarray(frame.points[:, :3])
    return View(
        frame.frame_id,
        xyz,
        np.tanh(_read_column(frame, "intensity")),
        _read_column(frame, "return_number").astype(np.int64),
        labels,
        found,
        tuple(class_names),
    )


def _read_column(frame: Frame, name: str) -> np.ndarray:
    """(P,) float32; zeros where the frame has no such column."""
    if name not in frame.columns:
        return np.zeros(len(frame.points), np.float32)
    return frame.points[:, frame.columns.index(name)]


def _take_or_default(values: np.ndarray, index: np.ndarray, otherwise: float) -> np.ndarray:
    """(P,) values at the positions `index`, `otherwise` where it is -1."""
    found = np.full(len(index), otherwise, values.dtype)
    found[index >= 0] = values[index[index >= 0]]
    return found
