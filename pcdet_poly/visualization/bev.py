"""A frame from above as a PNG: points, labels, detections."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pcdet_poly.files import atomic_path
from pcdet_poly.structures import Detections, GroundTruth
from pcdet_poly.visualization.boxes import bev_corners
from pcdet_poly.visualization.palette import BEV_GROUND, INK, LINE, class_colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_RING_STEP_M = 25.0


def draw_bev(
    path: str | Path,
    points: np.ndarray,
    ground_truth: GroundTruth,
    detections: Detections,
    *,
    class_names: Sequence[str],
    title: str = "",
    limits: tuple[float, float, float, float] | None = None,
    min_score: float = 0.0,
    size_px: int = 1200,
) -> None:
    """Write a square PNG of a frame from above: labels filled and dashed, detections outlined, a tick to the front.

    x points right (forward), y up (left). Needs no display.

    Args:
        path: the file; it is written whole or not at all.
        points: (P, >= 3) x y z ... in the vehicle frame, metres; coloured by height.
        ground_truth: labels, boxes in the vehicle frame.
        detections: detections, boxes in the vehicle frame.
        class_names: names of the classes that the labels of both point into.
        title: a line above the picture.
        limits: (x0, y0, x1, y1) in metres, the part that is shown; 75 m around the vehicle if None. Boxes with
            their centre outside are left out.
        min_score: detections below it are left out.
        size_px: width and height in pixels.
    """
    from matplotlib.figure import Figure

    x0, y0, x1, y1 = limits or (-75.0, -75.0, 75.0, 75.0)
    figure = Figure(figsize=(size_px / 100, size_px / 100), dpi=100, facecolor=BEV_GROUND, layout="constrained")
    axes = figure.add_subplot(facecolor=BEV_GROUND)
    _style_axes(axes, title)
    _draw_rings(axes, max(abs(x0), abs(y0), abs(x1), abs(y1)))
    _draw_points(axes, points)
    labels = ground_truth[_is_inside(ground_truth.box, (x0, y0, x1, y1))]
    shown = detections[_is_inside(detections.box, (x0, y0, x1, y1)) & (detections.score >= min_score)]
    _draw_boxes(axes, labels.box, labels.label, filled=True)
    _draw_boxes(axes, shown.box, shown.label, filled=False)
    _draw_scores(axes, shown)
    _draw_legend(axes, class_names, labels, shown, min_score)
    axes.set(xlim=(x0, x1), ylim=(y0, y1), aspect="equal")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=100)


def _is_inside(box: np.ndarray, limits: tuple[float, float, float, float]) -> np.ndarray:
    """Tell which boxes have their centre inside limits x0, y0, x1, y1, (N,) bool."""
    x0, y0, x1, y1 = limits
    inside: np.ndarray = (box[:, 0] >= x0) & (box[:, 0] < x1) & (box[:, 1] >= y0) & (box[:, 1] < y1)
    return inside


def _style_axes(axes: Axes, title: str) -> None:
    """Label the axes, in colours for the dark ground."""
    axes.set_title(title, color=INK, fontsize=13)
    axes.set_xlabel("x, forward (m)", color=INK)
    axes.set_ylabel("y, left (m)", color=INK)
    axes.tick_params(colors=INK)
    for spine in axes.spines.values():
        spine.set_color(LINE)


def _draw_rings(axes: Axes, reach_m: float) -> None:
    """Draw circles of equal distance and the vehicle."""
    from matplotlib.patches import Circle

    step_m = _RING_STEP_M if reach_m > 2 * _RING_STEP_M else 10.0
    for radius_m in np.arange(step_m, reach_m * 1.5, step_m):
        axes.add_patch(Circle((0, 0), radius_m, fill=False, color=LINE, linewidth=0.8))
        axes.text(0, radius_m, f"{radius_m:.0f} m", color="#7d8896", fontsize=9, clip_on=True, ha="center")
    axes.plot([0], [0], marker=">", color="white", markersize=8, zorder=5)


def _draw_points(axes: Axes, points: np.ndarray) -> None:
    """Draw the points (P, >= 3), brighter the higher they are."""
    from matplotlib.colors import LinearSegmentedColormap

    heights = LinearSegmentedColormap.from_list("height", ["#4a7097", "#86a8c8", "#eaf2fa"])
    axes.scatter(points[:, 0], points[:, 1], c=points[:, 2], cmap=heights, vmin=-0.5, vmax=3.0, s=0.6, linewidths=0)


def _draw_boxes(axes: Axes, box: np.ndarray, label: np.ndarray, *, filled: bool) -> None:
    """Draw boxes (N, 7) in the colours of their classes (N,), with a tick to the front."""
    from matplotlib.collections import LineCollection, PolyCollection
    from matplotlib.colors import to_rgba

    corners = bev_corners(box)  # (N, 4, 2)
    front = corners[:, [0, 3]].mean(axis=1)
    ticks = np.stack([box[:, :2], front + 0.35 * (front - box[:, :2])], axis=1)  # centre to beyond the front
    colours = [class_colour(i) for i in label]
    faces = [to_rgba(colour, 0.3 if filled else 0.0) for colour in colours]
    style: dict[str, Any] = {
        "linewidths": 1.0 if filled else 1.8,
        "linestyles": "--" if filled else "-",
        "zorder": 3 if filled else 4,
    }
    axes.add_collection(PolyCollection(list(corners), facecolors=faces, edgecolors=colours, **style))
    axes.add_collection(LineCollection(list(ticks), colors=colours, **style))


def _draw_scores(axes: Axes, detections: Detections) -> None:
    """Write each detection's score beside its box."""
    tops = bev_corners(detections.box).max(axis=1)  # (N, 2)
    for (x, y), label, score in zip(tops, detections.label, detections.score, strict=True):
        colour = class_colour(label)
        axes.text(x, y, f"{score:.2f}", color=colour, fontsize=8, clip_on=True, zorder=6)


def _draw_legend(
    axes: Axes, class_names: Sequence[str], ground_truth: GroundTruth, detections: Detections, min_score: float
) -> None:
    """Draw the key: classes with their numbers of boxes, and what dashed and solid lines mean."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Line2D | Patch] = [
        Patch(
            color=class_colour(index),
            label=f"{name.lower()}: {(ground_truth.label == index).sum()} labelled, "
            f"{(detections.label == index).sum()} detected",
        )
        for index, name in enumerate(class_names)
    ]
    handles.append(Patch(facecolor="#ffffff40", edgecolor=INK, linestyle="--", label="label"))
    handles.append(Line2D([], [], color=INK, linewidth=1.8, label=f"detection, score at least {min_score:.2f}"))
    axes.legend(handles=handles, loc="upper right", facecolor="#1a212b", edgecolor=LINE, labelcolor=INK)
