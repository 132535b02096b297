"""How the lab's figures look, and how they get onto disk."""

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


def colour_of_epsilon(epsilon: float) -> Any:
    """Blue below 0, black at 0, red above; from -1 to 2."""
    if epsilon == 0:
        return BASE_COLOUR
    return colormaps["coolwarm"](0.35 + 0.35 * max(epsilon, -1) if epsilon < 0 else 0.7 + 0.15 * min(epsilon, 2))


def new_figure(width_in: float, height_in: float) -> Figure:
    """An empty figure that needs no display."""
    return Figure(figsize=(width_in, height_in), dpi=110, layout="constrained")


def finish_axes(axes: Axes, **settings: Any) -> None:
    """Labels and limits as in `Axes.set`, a light grid, no frame above and right."""
    axes.set(**settings)
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def save(figure: Figure, path: Path) -> Path:
    """Write a PNG, whole or not at all."""
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png")
    return path
