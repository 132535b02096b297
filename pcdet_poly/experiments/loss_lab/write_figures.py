"""Write the lab's figures, and the numbers behind those of finished runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pcdet_poly.experiments.loss_lab.examine_run import ExaminedRun
from pcdet_poly.experiments.loss_lab.heatmap_gradients import draw_heatmap_gradients
from pcdet_poly.experiments.loss_lab.loss_curves import draw_coefficients, draw_curves
from pcdet_poly.experiments.loss_lab.run_figure import draw_runs
from pcdet_poly.figure_files import save_figure_in_formats
from pcdet_poly.files import write_json


def write_family_figures(output: Path, formats: Sequence[str] = ("png",)) -> list[Path]:
    """Write the figures that need no run into the folder `output`, once per format, and return their paths."""
    figures = {"coefficients.png": draw_coefficients, "curves.png": draw_curves, "heatmap.png": draw_heatmap_gradients}
    return [path for name, draw in figures.items() for path in save_figure_in_formats(draw(), output / name, formats)]


def write_run_figure(runs: Sequence[ExaminedRun], output: Path, formats: Sequence[str] = ("png",)) -> list[Path]:
    """Write the figure of examined runs, and its numbers.

    Args:
        runs: what was found in each run.
        output: folder to write into.
        formats: endings of picture files; the figure is written once for each.

    Returns:
        Paths of what was written.
    """
    write_json(output / "runs.json", [run.to_json() for run in runs])
    return [*save_figure_in_formats(draw_runs(runs), output / "runs.png", formats), output / "runs.json"]
