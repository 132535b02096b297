"""A frame from above as a picture: points, labels, detections, no-label zones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pcdet_poly.figure_files import save_figure
from pcdet_poly.structures import Detections, GroundTruth
from pcdet_poly.visualization.bev_boxes import draw_detections, draw_labels, draw_legend
from pcdet_poly.visualization.palette import THEMES, Theme, ThemeName

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_RING_STEP_M = 25.0
_DPI = 100
_POINT_DPI = 300  # of the points inside an SVG or a PDF: as pixels, since 150,000 shapes would be tens of megabytes


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
    theme: ThemeName = "light",
    zones: Sequence[np.ndarray] = (),
) -> None:
    """Write a square picture of a frame from above: labels filled and dashed, detections outlined, a tick to the front.

    x points right (forward), y up (left). Needs no display.

    Args:
        path: the file, PNG, SVG or PDF by its end; it is written whole or not at all.
        points: (P, >= 3) x y z ... in the vehicle frame, metres; coloured by height.
        ground_truth: labels, boxes in the vehicle frame.
        detections: detections, boxes in the vehicle frame.
        class_names: names of the classes that the labels of both point into.
        title: a line above the picture.
        limits: (x0, y0, x1, y1) in metres, the part that is shown; 75 m around the vehicle if None. Boxes with
            their centre outside are left out.
        min_score: detections below it are left out.
        size_px: width and height in pixels.
        theme: light for papers, dark for screens.
        zones: no-label zones, polygons (K, 2) of x and y in the vehicle frame, metres; hatched.

    Raises:
        UserError: the name ends in another format's.
    """
    from matplotlib.figure import Figure

    look, limits = THEMES[theme], limits or (-75.0, -75.0, 75.0, 75.0)
    x0, y0, x1, y1 = limits
    figure = Figure(figsize=(size_px / _DPI, size_px / _DPI), dpi=_DPI, facecolor=look.ground, layout="constrained")
    axes = figure.add_subplot(facecolor=look.ground)
    _style_axes(axes, title, look)
    _draw_rings(axes, max(map(abs, limits)), look)
    _draw_points(axes, points, look)
    _draw_zones(axes, zones, look)
    labels = ground_truth[_is_inside(ground_truth.box, limits)]
    shown = detections[_is_inside(detections.box, limits) & (detections.score >= min_score)]
    draw_labels(axes, labels, class_names)
    draw_detections(axes, shown, class_names, look)
    draw_legend(axes, class_names, labels, shown, min_score=min_score, zones=bool(zones), theme=look)
    axes.set(xlim=(x0, x1), ylim=(y0, y1), aspect="equal")
    save_figure(figure, path, dpi=_DPI if Path(path).suffix.lower() == ".png" else _POINT_DPI)


def _is_inside(box: np.ndarray, limits: tuple[float, float, float, float]) -> np.ndarray:
    """Tell which boxes have their centre inside limits x0, y0, x1, y1, (N,) bool."""
    x0, y0, x1, y1 = limits
    inside: np.ndarray = (box[:, 0] >= x0) & (box[:, 0] < x1) & (box[:, 1] >= y0) & (box[:, 1] < y1)
    return inside


def _style_axes(axes: Axes, title: str, theme: Theme) -> None:
    """Label the axes, in colours for the theme's ground."""
    axes.set_title(title, color=theme.ink, fontsize=13)
    axes.set_xlabel("x, forward (m)", color=theme.ink)
    axes.set_ylabel("y, left (m)", color=theme.ink)
    axes.tick_params(colors=theme.ink)
    for spine in axes.spines.values():
        spine.set_color(theme.line)


def _draw_rings(axes: Axes, reach_m: float, theme: Theme) -> None:
    """Draw circles of equal distance and the vehicle."""
    from matplotlib.patches import Circle

    step_m = _RING_STEP_M if reach_m > 2 * _RING_STEP_M else 10.0
    for radius_m in np.arange(step_m, reach_m * 1.5, step_m):
        axes.add_patch(Circle((0, 0), radius_m, fill=False, color=theme.line, linewidth=0.8))
        axes.text(0, radius_m, f"{radius_m:.0f} m", color=theme.faint, fontsize=9, clip_on=True, ha="center")
    axes.plot([0], [0], marker=">", color=theme.ink, markersize=8, zorder=5)


def _draw_points(axes: Axes, points: np.ndarray, theme: Theme) -> None:
    """Draw the points (P, >= 3), stronger against the ground the higher they are."""
    from matplotlib.colors import LinearSegmentedColormap

    heights = LinearSegmentedColormap.from_list("height", list(theme.heights))
    x, y = points[:, :2].T
    axes.scatter(x, y, c=points[:, 2], cmap=heights, vmin=-0.5, vmax=3.0, s=0.6, linewidths=0, rasterized=True)


def _draw_zones(axes: Axes, zones: Sequence[np.ndarray], theme: Theme) -> None:
    """Hatch the no-label zones, polygons (K, 2)."""
    from matplotlib.patches import Polygon

    for zone in zones:
        axes.add_patch(Polygon(zone, fill=False, hatch="///", edgecolor=theme.faint, linewidth=0.9, zorder=2))
