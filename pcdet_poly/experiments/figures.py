"""The common look of all figures of experiments, and how they are saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pcdet_poly.files import atomic_path

BASE_COLOUR = "#202020"  # the loss that others are compared with
# Okabe and Ito's colours, told apart by colour-blind eyes.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d31")


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


def save_figure(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG, whole or not at all, and return its path."""
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png")
    return path
