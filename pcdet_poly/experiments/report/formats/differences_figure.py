"""Differences of every arm as a picture for papers and report.md: epsilon along the axis, controls to its right."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pcdet_poly.experiments.figures import BASE_COLOUR, COLOURS, colour_of_epsilon, finish_axes, new_figure
from pcdet_poly.experiments.report.detector_report import Result
from pcdet_poly.experiments.report.findings import name_of
from pcdet_poly.experiments.report.metrics import MEAN, Difference


def draw_differences(result: Result) -> Figure:
    """A panel per class and for their mean: differences in the deciding cell, with 95 % intervals and every seed."""
    kinds = result.numbers.shown
    figure = new_figure(4.6 * min(len(kinds), 2), 3.4 * -(-len(kinds) // 2))
    panels = figure.subplots(-(-len(kinds) // 2), min(len(kinds), 2), squeeze=False)
    places, colours = _places(result), _colours(result)
    for kind, axes in zip(kinds, panels.flat, strict=False):
        found = {one.arm: one for one in result.main_differences() if one.cell[0] == kind}
        axes.axhline(0, color=BASE_COLOUR, linewidth=0.8, linestyle=":")
        _draw_curve(axes, result, places, found)
        for arm, one in found.items():
            _draw_arm(axes, places[arm], one, colours[arm])
        axes.plot(places[result.model.baseline], 0, "o", color=BASE_COLOUR, markersize=5)
        title = "mean over classes" if kind == MEAN else kind.lower()
        finish_axes(axes, title=title, ylabel=f"{name_of(result.numbers.main)} - {result.model.baseline}, points")
        axes.set_xticks([places[arm] for arm in result.arms], result.arms, rotation=35, ha="right", fontsize=8)
    for axes in panels.flat[len(kinds) :]:
        axes.set_visible(False)
    return figure


def _places(result: Result) -> dict[str, float]:
    """Position along the axis: an epsilon arm's epsilon; controls side by side after the largest."""
    places = {arm: result.epsilons[arm] for arm in result.arms if arm in result.epsilons}
    known = [*places.values(), 0.0]
    step = max(0.35, (max(known) - min(known)) / 7)
    controls = [arm for arm in result.arms if arm not in places]
    return places | {arm: max(known) + step * (i + 1.2) for i, arm in enumerate(controls)}


def _colours(result: Result) -> dict[str, object]:
    controls = [arm for arm in result.arms if arm not in result.epsilons]
    of_controls = {arm: COLOURS[(i + 2) % len(COLOURS)] for i, arm in enumerate(controls)}
    return of_controls | {arm: colour_of_epsilon(epsilon) for arm, epsilon in result.epsilons.items()}


def _draw_curve(axes: Axes, result: Result, places: dict[str, float], found: dict[str, Difference]) -> None:
    means = {arm: float(one.claim.mean) for arm, one in found.items()} | {result.model.baseline: 0.0}
    curve = sorted((places[arm], means[arm]) for arm in result.epsilons if arm in means)
    axes.plot(*zip(*curve, strict=True), color="#9aa5b1", linewidth=1)


def _draw_arm(axes: Axes, place: float, one: Difference, colour: object) -> None:
    axes.plot([place] * len(one.by_seed), one.by_seed, "_", color=colour, alpha=0.6, markersize=12)
    low, high = float(one.claim.low), float(one.claim.high)
    if np.isfinite([low, high]).all():
        axes.plot([place, place], [low, high], color=colour, linewidth=2)
    axes.plot(place, float(one.claim.mean), "o", color=colour, markersize=5)
