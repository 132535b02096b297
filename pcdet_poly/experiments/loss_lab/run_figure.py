"""Examined runs -> one figure: histograms of P_t, calibration, gradient share over training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pcdet_poly.experiments.figures import BASE_COLOUR, COLOURS, DASHES, MARKERS, create_figure, finish_axes
from pcdet_poly.experiments.loss_lab.examine_run import NUM_BINS, RIGHT_IOU, ExaminedRun


def draw_runs(runs: Sequence[ExaminedRun]) -> Figure:
    """Draw every run in its own colour, line and marker in all four panels."""
    figure = create_figure(12, 8)
    panels = figure.subplots(2, 2)
    for number, run in enumerate(runs):
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
        line = {"color": colour, "linestyle": DASHES[number % len(DASHES)]}
        _draw_histogram(panels[0, 0], run.peaks, line, _format_label(run, "peaks"))
        _draw_histogram(panels[0, 1], run.background, line, _format_label(run, "background"))
        _draw_calibration(panels[1, 0], run, {**line, "marker": marker})
        _draw_shares(panels[1, 1], run, {"color": colour, "marker": marker})
    panels[1, 0].plot([0, 1], [0, 1], color=BASE_COLOUR, linewidth=0.8, linestyle=":")
    finish_axes(panels[0, 0], title="Peaks (target 1)", xlabel="P_t = p", ylabel="share of cells", xlim=(0, 1))
    background = {"xlabel": "P_t = 1 - p", "ylabel": "share of cells", "yscale": "log", "xlim": (0, 1)}
    finish_axes(panels[0, 1], title="Background (the rest)", **background)
    right = f"share that overlaps a label (IoU {RIGHT_IOU:g})"
    finish_axes(panels[1, 0], title="Calibration", xlabel="score", ylabel=right, xlim=(0, 1), ylim=(0, 1))
    share = {"xlabel": "step", "ylabel": "share of sum |dL/dlogit|", "ylim": (0, 1)}
    finish_axes(panels[1, 1], title="Gradient carried by the first polynomial", **share)
    for axes in panels.flat:
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=8, frameon=False)
    return figure


def _format_label(run: ExaminedRun, part: str) -> str:
    mean = f", mean {run.mean_p_t[part]:.3f}" if part in run.mean_p_t else ""
    return f"{run.name} ({run.epsilon}){mean}"


def _draw_histogram(axes: Axes, counts: np.ndarray, look: dict[str, Any], label: str) -> None:
    edges = np.linspace(0, 1, NUM_BINS + 1)
    axes.stairs(counts / max(counts.sum(), 1), edges, label=label, linewidth=1.4, **look)


def _draw_calibration(axes: Axes, run: ExaminedRun, look: dict[str, Any]) -> None:
    curve = run.calibration
    label = f"{run.name}: error {curve.error:.3f}, {curve.count.sum()} detections"
    axes.plot(curve.mean_score, curve.share_right, markersize=4, linewidth=1.4, label=label, **look)


def _draw_shares(axes: Axes, run: ExaminedRun, look: dict[str, Any]) -> None:
    for part, style in (("peaks", "--"), ("background", "-")):
        shares, label = run.shares.by_part[part], f"{run.name}: {part}"
        axes.plot(run.shares.steps, shares, style, markersize=4, markevery=0.15, linewidth=1.2, label=label, **look)
