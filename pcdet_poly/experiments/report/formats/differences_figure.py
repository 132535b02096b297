"""Differences of every arm as a picture for papers and report.md: epsilon along the axis, controls to its right."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pcdet_poly.experiments.figures import (
    BASE_COLOUR,
    COLOURS,
    MARKERS,
    create_figure,
    finish_axes,
    pick_epsilon_colour,
)
from pcdet_poly.experiments.report.detector_report import DetectorReport
from pcdet_poly.experiments.report.metrics import MEAN, ArmDifference


def draw_differences(report: DetectorReport) -> Figure:
    """Draw a panel per class and for their mean: differences in the ranking metric, 95 % intervals, every seed."""
    classes, baseline = report.metrics.shown_classes, report.detector.baseline
    figure = create_figure(4.6 * min(len(classes), 2), 3.4 * -(-len(classes) // 2))
    panels = figure.subplots(-(-len(classes) // 2), min(len(classes), 2), squeeze=False)
    positions, colours, markers = _lay_out_arms(report), _pick_colours(report), _pick_markers(report)
    for name, axes in zip(classes, panels.flat, strict=False):
        by_arm = {one.arm: one for one in report.list_ranking_differences() if one.cell.class_name == name}
        axes.axhline(0, color=BASE_COLOUR, linewidth=0.8, linestyle=":")
        _draw_curve(axes, report, positions, by_arm)
        for arm, one in by_arm.items():
            _draw_arm(axes, positions[arm], one, {"color": colours[arm], "marker": markers[arm]})
        axes.plot(positions[baseline], 0, "o", color=BASE_COLOUR, markersize=5)
        title = "mean over classes" if name == MEAN else name.lower()
        finish_axes(axes, title=title, ylabel=f"{report.metrics.ranking}, points\nminus that of {baseline}")
        axes.set_xticks([positions[arm] for arm in report.arms], report.arms, rotation=35, ha="right", fontsize=8)
    for axes in panels.flat[len(classes) :]:
        axes.set_visible(False)
    return figure


def _lay_out_arms(report: DetectorReport) -> dict[str, float]:
    """Lay the arms out along the axis: an epsilon arm at its epsilon, controls side by side after the largest."""
    positions = {arm: report.epsilons[arm] for arm in report.arms if arm in report.epsilons}
    epsilons = [*positions.values(), 0.0]
    step = max(0.35, (max(epsilons) - min(epsilons)) / 7)
    controls = [arm for arm in report.arms if arm not in positions]
    return positions | {arm: max(epsilons) + step * (i + 1.2) for i, arm in enumerate(controls)}


def _pick_colours(report: DetectorReport) -> dict[str, object]:
    controls = [arm for arm in report.arms if arm not in report.epsilons]
    control_colours = {arm: COLOURS[(i + 2) % len(COLOURS)] for i, arm in enumerate(controls)}
    return control_colours | {arm: pick_epsilon_colour(epsilon) for arm, epsilon in report.epsilons.items()}


def _pick_markers(report: DetectorReport) -> dict[str, str]:
    """Pick a circle for the points of the epsilon curve, and for each control a shape of its own."""
    controls = [arm for arm in report.arms if arm not in report.epsilons]
    own = {arm: MARKERS[1 + i % (len(MARKERS) - 1)] for i, arm in enumerate(controls)}
    return own | dict.fromkeys(report.epsilons, MARKERS[0])


def _draw_curve(
    axes: Axes, report: DetectorReport, positions: dict[str, float], by_arm: dict[str, ArmDifference]
) -> None:
    means = {arm: float(one.claim.mean) for arm, one in by_arm.items()} | {report.detector.baseline: 0.0}
    curve = sorted((positions[arm], means[arm]) for arm in report.epsilons if arm in means)
    axes.plot(*zip(*curve, strict=True), color="#9aa5b1", linewidth=1)


def _draw_arm(axes: Axes, position: float, one: ArmDifference, look: dict[str, Any]) -> None:
    colour = look["color"]
    axes.plot([position] * len(one.by_seed), one.by_seed, "_", color=colour, alpha=0.6, markersize=12)
    low, high = float(one.claim.low), float(one.claim.high)
    if np.isfinite([low, high]).all():
        axes.plot([position, position], [low, high], color=colour, linewidth=2)
    axes.plot(position, float(one.claim.mean), linestyle="", markersize=5, **look)
