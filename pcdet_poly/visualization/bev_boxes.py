"""Boxes from above, and the legend that says what their colours, letters and lines mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pcdet_poly.structures import Detections, GroundTruth
from pcdet_poly.visualization.boxes import bev_corners
from pcdet_poly.visualization.palette import Theme, choose_class_colours, choose_class_letters

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

_LABEL_STYLE: dict[str, Any] = {"linewidths": 1.0, "linestyles": "--", "zorder": 3}
_DETECTION_STYLE: dict[str, Any] = {"linewidths": 1.8, "linestyles": "-", "zorder": 4}


def draw_labels(axes: Axes, labels: GroundTruth, class_names: Sequence[str]) -> None:
    """Draw labels, pale inside and dashed, each with the letter of its class at its lower corner.

    Args:
        axes: the picture, x and y in metres.
        labels: N labels, boxes in the vehicle frame.
        class_names: names of the classes that the labels point into.
    """
    colours, letters = choose_class_colours(class_names), choose_class_letters(class_names)
    of_box = [colours[i] for i in labels.label]
    _draw_boxes(axes, labels.box, of_box, opacity=0.2, style=_LABEL_STYLE)
    corners = bev_corners(labels.box)
    for (x, y), label, colour in zip(corners.min(axis=1), labels.label, of_box, strict=True):
        axes.text(x, y, letters[label], color=colour, fontsize=7, clip_on=True, ha="right", va="top", zorder=6)


def draw_detections(axes: Axes, detections: Detections, class_names: Sequence[str], theme: Theme) -> None:
    """Draw detections in solid lines, each with the letter of its class and its score at its upper corner.

    Args:
        axes: the picture, x and y in metres.
        detections: N detections, boxes in the vehicle frame.
        class_names: names of the classes that the detections point into.
        theme: gives the colour of the scores.
    """
    colours, letters = choose_class_colours(class_names), choose_class_letters(class_names)
    _draw_boxes(axes, detections.box, [colours[i] for i in detections.label], opacity=0.0, style=_DETECTION_STYLE)
    tops = bev_corners(detections.box).max(axis=1)  # (N, 2)
    for (x, y), label, score in zip(tops, detections.label, detections.score, strict=True):
        text = f"{letters[label]} {score:.2f}"
        axes.text(x, y, text, color=theme.ink, fontsize=8, clip_on=True, zorder=6)


def draw_legend(
    axes: Axes,
    class_names: Sequence[str],
    labels: GroundTruth,
    detections: Detections,
    *,
    min_score: float,
    zones: bool,
    theme: Theme,
) -> None:
    """Draw the key: what is in the picture, with its numbers of boxes, and nothing that is not.

    Args:
        axes: the picture.
        class_names: names of the classes; those without a box are left out.
        labels: the labels that are drawn.
        detections: the detections that are drawn.
        min_score: the smallest score that was drawn; said where it left something out.
        zones: whether no-label zones are drawn.
        theme: colours of the ground and the texts.
    """
    from matplotlib.patches import Patch

    handles = _list_class_handles(class_names, labels, detections) + _list_line_handles(
        labels, detections, min_score, theme
    )
    if zones:
        handles.append(Patch(facecolor="none", edgecolor=theme.faint, hatch="///", label="no-label zone"))
    if handles:
        axes.legend(
            handles=handles, loc="upper right", facecolor=theme.panel, edgecolor=theme.line, labelcolor=theme.ink
        )


def _list_class_handles(
    class_names: Sequence[str], labels: GroundTruth, detections: Detections
) -> list[Line2D | Patch]:
    """Return a patch per class that is in the picture: "V  vehicle: 12 labelled, 9 detected"."""
    from matplotlib.patches import Patch

    handles: list[Line2D | Patch] = []
    names = zip(class_names, choose_class_letters(class_names), choose_class_colours(class_names), strict=True)
    for index, (name, letter, colour) in enumerate(names):
        counts = [
            f"{count} {word}"
            for count, word in (
                (int((labels.label == index).sum()), "labelled"),
                (int((detections.label == index).sum()), "detected"),
            )
            if count
        ]
        if counts:
            handles.append(Patch(color=colour, label=f"{letter}  {name.lower()}: {', '.join(counts)}"))
    return handles


def _list_line_handles(
    labels: GroundTruth, detections: Detections, min_score: float, theme: Theme
) -> list[Line2D | Patch]:
    """Return what dashed and solid lines mean, as far as there are any."""
    from matplotlib.colors import to_rgba
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Line2D | Patch] = []
    if len(labels):
        pale = to_rgba(theme.ink, 0.15)
        handles.append(Patch(facecolor=pale, edgecolor=theme.ink, linestyle="--", label="label"))
    if len(detections):
        text = f"detection, score {min_score:.2f} or more" if min_score > 0 else "detection, with its score"
        handles.append(Line2D([], [], color=theme.ink, linewidth=1.8, label=text))
    return handles


def _draw_boxes(axes: Axes, box: np.ndarray, colours: Sequence[str], *, opacity: float, style: dict[str, Any]) -> None:
    """Draw boxes (N, 7) in their colours, with a tick to the front."""
    from matplotlib.collections import LineCollection, PolyCollection
    from matplotlib.colors import to_rgba

    corners = bev_corners(box)  # (N, 4, 2)
    front = corners[:, [0, 3]].mean(axis=1)
    ticks = np.stack([box[:, :2], front + 0.35 * (front - box[:, :2])], axis=1)  # centre to beyond the front
    faces = [to_rgba(colour, opacity) for colour in colours]
    axes.add_collection(PolyCollection(list(corners), facecolors=faces, edgecolors=colours, **style))
    axes.add_collection(LineCollection(list(ticks), colors=colours, **style))
