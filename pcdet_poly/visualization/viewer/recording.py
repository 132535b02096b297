"""Views -> a recording that Rerun opens: a timeline of frames, points, labels, detections."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pcdet_poly.files import atomic_path
from pcdet_poly.optional_libraries import import_rerun
from pcdet_poly.structures import Detections, GroundTruth
from pcdet_poly.visualization.palette import OUTCOME_COLOURS, choose_class_colours, parse_rgb
from pcdet_poly.visualization.viewer.colours import point_colours
from pcdet_poly.visualization.viewer.view import View, ViewSource

_GREY = parse_rgb(OUTCOME_COLOURS["ignored"])


def write_recording(path: Path, views: ViewSource, chosen: Sequence[int]) -> None:
    """Write frames as a recording of Rerun.

    Args:
        path: the file, .rrd; it is written whole or not at all.
        views: where the frames come from.
        chosen: their positions among all frames, which are the recording's timeline `frame`.

    Raises:
        UserError: rerun-sdk is not installed.
    """
    rerun = import_rerun()
    recording = rerun.RecordingStream("pcdet_poly", recording_id=views.title)
    with atomic_path(path) as temporary:
        recording.save(str(temporary))
        recording.log("world", rerun.ViewCoordinates.FLU, static=True)
        for index in chosen:
            recording.set_time("frame", sequence=index)
            _log_view(rerun, recording, views.load_view(index))
        recording.flush()
        recording.disconnect()


def _log_view(rerun: Any, recording: Any, view: View) -> None:
    """Log one frame: points by class, both kinds of boxes, no-label zones, its id as a text."""
    recording.log("frame_id", rerun.TextLog(view.frame_id))
    recording.log("world/points", rerun.Points3D(view.xyz, colors=point_colours(view, "class"), radii=0.03))
    recording.log("world/labels", _build_boxes(rerun, view, view.labels))
    if view.detections is not None:
        recording.log("world/detections", _build_boxes(rerun, view, view.detections))
    # Of a frame without zones, too: Rerun shows an entity's latest state until the next one.
    recording.log("world/no_label_zones", rerun.LineStrips3D(_outline_zones(view.zones), colors=_GREY, radii=0.02))


def _outline_zones(zones: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return polygons (K, 2) as closed lines (K + 1, 3) on the ground."""
    return [np.pad(np.vstack([zone, zone[:1]]), ((0, 0), (0, 1))).astype(np.float32) for zone in zones]


def _build_boxes(rerun: Any, view: View, rows: GroundTruth | Detections) -> Any:
    """Return boxes (N, 7) as Rerun's, turned about the vertical axis, labels in thinner lines than detections."""
    colours = np.array([parse_rgb(colour) for colour in choose_class_colours(view.class_names)], np.uint8)
    names = [view.class_names[label].lower() for label in rows.label]
    texts, radius_m = names, 0.02
    if isinstance(rows, Detections):
        texts, radius_m = [f"{name} {score:.2f}" for name, score in zip(names, rows.score, strict=True)], 0.05
    half = rows.box[:, 6] / 2
    turns = np.stack([np.zeros_like(half), np.zeros_like(half), np.sin(half), np.cos(half)], axis=1)  # x y z w
    return rerun.Boxes3D(
        centers=rows.box[:, :3],
        half_sizes=rows.box[:, 3:6] / 2,
        quaternions=turns,
        colors=colours[rows.label] if len(rows) else None,
        labels=texts,
        radii=radius_m,
        show_labels=False,
    )
