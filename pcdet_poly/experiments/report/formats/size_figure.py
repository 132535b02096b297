"""The size curve as a picture: every arm's main metric against the size of its classification's gradient."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from pcdet_poly.experiments.figures import BASE_COLOUR, COLOURS, create_figure, finish_axes
from pcdet_poly.experiments.report.detector_report import DetectorReport


def draw_size_curve(report: DetectorReport) -> Figure:
    """Draw the means of arms with and without a polynomial, and the line through all of them. There must be a curve."""
    assert report.size_curve is not None
    arms, curve = report.size_curve
    main = report.answers[0]
    figure = create_figure(5.6, 4.0)
    axes = figure.subplots()
    log2_size = np.log2([report.sizes[arm].size for arm in arms])
    means = main.table.points.mean(0)[[main.arms.index(arm) for arm in arms]]
    ends = np.array([log2_size.min() - 0.2, log2_size.max() + 0.2])
    axes.plot(ends, curve.intercept + float(curve.slope.mean) * ends, color="#9aa5b1", linewidth=1)
    for is_polynomial, colour, label in ((False, BASE_COLOUR, "without polynomial"), (True, COLOURS[1], "with")):
        kept = np.array([report.sizes[arm].is_polynomial == is_polynomial for arm in arms])
        axes.plot(log2_size[kept], means[kept], "o", color=colour, label=label)
    for x, y, arm in zip(log2_size, means, arms, strict=True):
        axes.annotate(arm, (float(x), float(y)), xytext=(4, 4), textcoords="offset points", fontsize=8)
    title = f"r = {curve.correlation:.3f}"
    finish_axes(axes, title=title, xlabel="gradient size, doublings of the baseline's", ylabel=f"{main.metric}, points")
    axes.legend(fontsize=8)
    return figure
