"""A view as pictures: in perspective and from above. Needs no display."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pcdet_poly.structures import Detections
from pcdet_poly.visualization.bev import draw_bev
from pcdet_poly.visualization.palette import ThemeName, choose_class_letters
from pcdet_poly.visualization.perspective import Camera, DrawnBoxes, draw_perspective
from pcdet_poly.visualization.viewer.colours import (
    ColourMode,
    build_palette,
    detection_colours,
    label_colours,
    point_colours,
)
from pcdet_poly.visualization.viewer.view import View

_STEP_M = 5.0  # pictures from above reach to a multiple of this
_FARTHEST_M = 100.0


def draw_view(
    path: Path, view: View, mode: ColourMode, *, camera: Camera | None = None, theme: ThemeName = "light"
) -> tuple[Path, Path]:
    """Write two pictures of a frame: in perspective, and from above. Needs no display.

    Args:
        path: of the picture in perspective, PNG, SVG or PDF by its end; the one from above lies beside it, and its
            name ends in `_above`.
        view: the frame.
        mode: how points and boxes are coloured in perspective.
        camera: the eye; above and behind the vehicle if None.
        theme: light for papers, dark for screens.

    Returns:
        Both paths.

    Raises:
        UserError: the name ends in another format's.
    """
    found, letters = view.detections or Detections.empty(), choose_class_letters(view.class_names)
    texts = [f"{letters[label]} {score:.2f}" for label, score in zip(found.label, found.score, strict=True)]
    boxes = [
        DrawnBoxes(
            view.labels.box, label_colours(view, mode), dashed=True, texts=[letters[i] for i in view.labels.label]
        ),
        DrawnBoxes(found.box, detection_colours(view, mode), dashed=False, texts=texts),
    ]
    title = f"{view.frame_id}   colour: {mode}   {describe_counts(view)}"
    colour = point_colours(view, mode)
    legend = _build_legend(view, mode)
    draw_perspective(path, view.xyz, colour, boxes, camera=camera, title=title, key=legend, theme=theme)
    above = path.with_name(f"{path.stem}_above{path.suffix}")
    reach = find_reach_m(view)
    draw_bev(
        above,
        view.xyz,
        view.labels,
        found,
        class_names=view.class_names,
        title=view.frame_id,
        limits=(-reach, -reach, reach, reach),
        theme=theme,
        zones=view.zones,
    )
    return path, above


def describe_counts(view: View) -> str:
    """Return a text such as "106 labels (dashed), 34 detections"."""
    labels = f"{len(view.labels)} labels (dashed)"
    return labels if view.detections is None else f"{labels}, {len(view.detections)} detections"


def find_reach_m(view: View) -> float:
    """Return half the side of a square around the vehicle that holds nearly all points and all boxes, in metres."""
    points = np.quantile(np.abs(view.xyz[:, :2]), 0.995) if len(view.xyz) else 0.0
    found = np.abs((view.detections or Detections.empty()).box[:, :2]).max(initial=0)
    reach = max(points, found, np.abs(view.labels.box[:, :2]).max(initial=0))
    return float(np.clip(np.ceil(reach / _STEP_M) * _STEP_M, 2 * _STEP_M, _FARTHEST_M))


def _build_legend(view: View, mode: ColourMode) -> list[tuple[str, tuple[int, int, int]]]:
    """Return the classes with their colours; nothing where colours mean scores."""
    if mode == "score":
        return []
    colours, letters = build_palette("class", view.class_names), choose_class_letters(view.class_names)
    names = enumerate(zip(letters, view.class_names, strict=True))
    return [(f"{letter}  {name.lower()}", tuple(colours[i].tolist())) for i, (letter, name) in names]
