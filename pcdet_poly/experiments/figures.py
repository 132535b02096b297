"""The common look of all figures of experiments."""

from __future__ import annotations

from typing import Any

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pcdet_poly.visualization.palette import BLUE, GREEN, ORANGE, PURPLE, VERMILION

BASE_COLOUR = "#202020"  # the loss that others are compared with
# Okabe and Ito's colours, told apart by colour-blind eyes.
COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, "#56b4e9", "#8c6d31")
# Beside the colours, so that arms and curves differ in print and to every eye.
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES: tuple[Any, ...] = (
    "-",
    (0, (6, 2)),
    (0, (2, 1.5)),
    (0, (7, 2, 1.5, 2)),
    (0, (10, 3)),
    (0, (4, 1.5, 1, 1.5)),
    ":",
)


def pick_epsilon_colour(epsilon: float) -> Any:
    """Pick the colour of an epsilon in [-1, 2]: blue below 0, the baseline's at 0, red above."""
    if epsilon == 0:
        return BASE_COLOUR
    return colormaps["coolwarm"](0.35 + 0.35 * max(epsilon, -1) if epsilon < 0 else 0.7 + 0.15 * min(epsilon, 2))


def create_figure(width_in: float, height_in: float) -> Figure:
    """Create an empty figure that needs no display; sizes are in inches."""
    return Figure(figsize=(width_in, height_in), dpi=110, layout="constrained")


def finish_axes(axes: Axes, **settings: Any) -> None:
    """Set labels and limits as `Axes.set` does, add a light grid, and remove the frame above and to the right."""
    axes.set(**settings)
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
