"""Precision-recall curves, and AP per range, as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pcdet_poly.evaluation.ap_table import ApTable
from pcdet_poly.evaluation.evaluator import Evaluator
from pcdet_poly.evaluation.kernels.average_precision import PRECISION, RECALL, precision_recall_curve
from pcdet_poly.figure_files import save_figure_in_formats

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Of the levels 2 and 1, and of others in turn: colours that colour-blind eyes tell apart, and never colour alone.
_LOOKS: tuple[dict[str, Any], ...] = (
    {"color": "#d55e00", "linestyle": "--", "marker": "s"},
    {"color": "#0072b2", "linestyle": "-", "marker": "o"},
)
_RANGES = ("[0, 30)", "[30, 50)", "[50, +inf)")


def write_plots(
    evaluator: Evaluator, table: ApTable, folder: str | Path, *, formats: Sequence[str] = ("png",)
) -> list[Path]:
    """Draw what the config's breakdowns allow, one picture per part and kind.

    Args:
        evaluator: its counts give the curves.
        table: the evaluator's table, which gives AP per range.
        folder: where the pictures are written.
        formats: png, svg, pdf; a file for each.

    Returns:
        The files written.
    """
    pictures = {}
    for k, part in enumerate(table.entries):
        if "OBJECT_TYPE" in evaluator.counter.cfg.breakdowns:
            pictures[f"precision_recall_{part}"] = _draw_curves(evaluator, k, part)
        if "RANGE" in evaluator.counter.cfg.breakdowns:
            pictures[f"ranges_{part}"] = _draw_ranges(evaluator, table, part)
    return [
        path
        for name, figure in pictures.items()
        for path in save_figure_in_formats(figure, Path(folder) / f"{name}.png", formats, dpi=120)
    ]


def _create_figure(title: str, columns: int) -> tuple[Figure, np.ndarray]:
    """Return a figure and its axes (columns,), side by side."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2 * columns, 3.8), layout="constrained")
    axes = figure.subplots(1, columns, squeeze=False)[0]
    figure.suptitle(title)
    return figure, axes


def _draw_curves(evaluator: Evaluator, part_index: int, part: str) -> Figure:
    """Draw the measured points at the score cut-offs, one panel per type, one line per level."""
    counter, counts = evaluator.counter, evaluator.sum_counts()[part_index]
    types = counter.layout.types
    first = counter.layout.find_first_row("OBJECT_TYPE")
    figure, axes = _create_figure(f"{part}: precision and recall at the score cut-offs", len(types))
    for axis, kind, row in zip(axes, types, counts[first : first + len(types)], strict=True):
        for level in counter.cfg.levels:
            points = precision_recall_curve(row, level, counter.cfg.min_precision)
            found = points[RECALL] > 0
            look = _LOOKS[level % len(_LOOKS)]
            axis.plot(points[RECALL][found], points[PRECISION][found], label=f"LEVEL_{level}", markersize=4, **look)
        axis.set(title=kind.lower(), xlabel="recall", ylabel="precision", xlim=(0, 1.02), ylim=(0, 1.02))
        axis.grid(alpha=0.3)
        axis.legend(loc="upper right")
    return figure


def _draw_ranges(evaluator: Evaluator, table: ApTable, part: str) -> Figure:
    """Draw AP of each type near, farther and far, one bar per level."""
    levels, types = evaluator.counter.cfg.levels, evaluator.counter.layout.types
    figure, axes = _create_figure(f"{part}: AP by distance", len(types))
    width = 0.8 / len(levels)
    for axis, kind in zip(axes, types, strict=True):
        for k, level in enumerate(levels):
            values = [100 * table[part][f"RANGE_TYPE_{kind}_{name}_LEVEL_{level}"]["ap"] for name in _RANGES]
            look = {"color": _LOOKS[level % len(_LOOKS)]["color"], "hatch": "//" if k else ""}
            axis.bar(np.arange(len(_RANGES)) + k * width, values, width, label=f"LEVEL_{level}", **look)
        axis.set(title=kind.lower(), ylabel="AP, per cent", ylim=(0, 100))
        axis.set_xticks(np.arange(len(_RANGES)) + (len(levels) - 1) * width / 2, [f"{name} m" for name in _RANGES])
        axis.legend(loc="upper right")
    return figure
