"""What a viewer shows: a frame's points, its labels, what a detector found in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pcdet_poly.ops.arrays.points_in_boxes import first_box
from pcdet_poly.structures import Detections, Frame, GroundTruth
from pcdet_poly.visualization.viewer.outcomes import Outcomes


@dataclass(frozen=True)
class View:
    """What is shown of one frame. The labels of both kinds of boxes point into `class_names`."""

    frame_id: str
    xyz: np.ndarray  # (P, 3) float32, metres, vehicle frame
    intensity: np.ndarray  # (P,) float32, tanh of the raw one
    return_number: np.ndarray  # (P,) int64; 0 where the source does not say
    labels: GroundTruth
    detections: Detections | None  # None where no detector has looked
    class_names: tuple[str, ...]
    zones: tuple[np.ndarray, ...] = ()  # no-label zones, polygons (K, 2) of x and y, vehicle frame
    outcomes: Outcomes | None = None  # what became of labels and detections, where it is known

    def classify_points(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the class (P,) int64 and the score (P,) float32 of each point.

        They are those of the detection around the point, else of the label. The class is -1 where there is neither,
        the score NaN where there is no detection.
        """
        label_index = first_box(self.xyz, self.labels.box)
        kind = _take_or_default(self.labels.label, label_index, -1)
        if self.detections is None:
            return kind, np.full(len(self.xyz), np.nan, np.float32)
        detection_index = first_box(self.xyz, self.detections.box)
        detected = _take_or_default(self.detections.label, detection_index, -1)
        return np.where(detection_index >= 0, detected, kind), _take_or_default(
            self.detections.score, detection_index, np.nan
        )


@dataclass(frozen=True)
class ViewSource:
    """Frames that are loaded when they are looked at."""

    title: str
    frame_ids: tuple[str, ...]
    load_view: Callable[[int], View]  # by position in `frame_ids`


def build_view(
    frame: Frame,
    labels: GroundTruth,
    detections: Detections | None,
    class_names: Sequence[str],
    *,
    min_score: float,
    zones: Sequence[np.ndarray] = (),
    outcomes: Outcomes | None = None,
) -> View:
    """Build the view of a frame.

    Args:
        frame: its points are shown.
        labels: labelled boxes, vehicle frame.
        detections: detected boxes, vehicle frame; None where no detector has looked.
        class_names: names of the classes that the labels of both point into.
        min_score: detections below it are left out.
        zones: no-label zones, polygons (K, 2) of x and y in the vehicle frame, metres.
        outcomes: what became of the labels and of all `detections`, at cut-offs from `min_score` up.

    Returns:
        The view.
    """
    kept = None if detections is None else np.asarray(detections.score) >= min_score
    found = None if detections is None else detections[kept]
    xyz = np.ascontiguousarray(frame.points[:, :3])
    return View(
        frame.frame_id,
        xyz,
        np.tanh(_read_column(frame, "intensity")),
        _read_column(frame, "return_number").astype(np.int64),
        labels,
        found,
        tuple(class_names),
        tuple(zones),
        None if outcomes is None or kept is None else outcomes.select_detections(kept),
    )


def _read_column(frame: Frame, name: str) -> np.ndarray:
    """Return a column of the points, (P,) float32; zeros where the frame has no such column."""
    if name not in frame.columns:
        return np.zeros(len(frame.points), np.float32)
    return frame.points[:, frame.columns.index(name)]


def _take_or_default(values: np.ndarray, index: np.ndarray, otherwise: float) -> np.ndarray:
    """Return `values` at the positions `index` (P,), `otherwise` where a position is -1."""
    found = np.full(len(index), otherwise, values.dtype)
    found[index >= 0] = values[index[index >= 0]]
    return found
