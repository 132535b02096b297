"""Scenes with what was found in them, as a picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from pcdet_poly.experiments.figures import create_figure
from pcdet_poly.experiments.image_detection.evaluate import SURE, FoundObjects
from pcdet_poly.experiments.image_detection.scenes import Scene

COLUMNS = 4
LINE_COLOUR = "#ffffff"
LETTER_BOX = {"facecolor": "black", "edgecolor": "none", "pad": 1.0, "alpha": 0.75}


def draw_detections(scenes: Sequence[Scene], found: Sequence[FoundObjects], score: float = SURE) -> Figure:
    """Draw scenes in rows of four, with the box, mask, class and score of every detection.

    Args:
        scenes: at least one.
        found: the detections in each.
        score: the least that a detection must have to be drawn.

    Returns:
        The figure.
    """
    num_rows = -(-len(scenes) // COLUMNS)
    figure = create_figure(2.2 * COLUMNS, 2.2 * num_rows)
    panels = list(figure.subplots(num_rows, COLUMNS, squeeze=False).flat)
    for axes in panels:
        axes.set_axis_off()
    for axes, scene, one in zip(panels, scenes, found, strict=False):
        axes.imshow(scene.image)
        for place in np.flatnonzero(one.scores >= score):
            _draw_detection(axes, one, int(place))
    return figure


def _draw_detection(axes: Axes, found: FoundObjects, place: int) -> None:
    x1, y1, x2, y2 = (float(side) for side in found.boxes[place])
    axes.add_patch(Rectangle((x1 - 0.5, y1 - 0.5), x2 - x1, y2 - y1, fill=False, edgecolor=LINE_COLOUR))
    if found.masks is not None and found.masks[place].any():
        axes.contour(found.masks[place], levels=[0.5], colors="black", linewidths=2)
        axes.contour(found.masks[place], levels=[0.5], colors=LINE_COLOUR, linewidths=0.8)
    told = f"{found.labels[place]}  {found.scores[place]:.2f}"
    axes.text(x1, y1 - 1, told, color=LINE_COLOUR, fontsize=8, verticalalignment="bottom", bbox=LETTER_BOX)
