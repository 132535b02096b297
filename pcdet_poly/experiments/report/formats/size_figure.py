"""The size curve as a picture: every arm's main metric against the size of its classification's gradient."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from pcdet_poly.experiments.figures import BASE_COLOUR, COLOURS, create_figure, finish_axes
from pcdet_poly.experiments.report.detector_report import DetectorReport
from pcdet_poly.experiments.report.gradient_sizes import ArmSize
from pcdet_poly.experiments.size_curve import SizeCurve


def draw_size_curve(report: DetectorReport) -> Figure:
    """Draw the size curve of a report that has one."""
    assert report.size_curve is not None
    arms, curve = report.size_curve
    main = report.answers[0]
    means = main.table.points.mean(0)[[main.arms.index(arm) for arm in arms]]
    return draw_arms_by_size(arms, [report.sizes[arm] for arm in arms], means, curve, main.metric)


WIDEST_LABEL, LABEL_HEIGHT = 0.25, 0.05  # shares of the figure's axes


def draw_arms_by_size(
    arms: Sequence[str], sizes: Sequence[ArmSize], means: np.ndarray, curve: SizeCurve, metric: str
) -> Figure:
    """Draw the means of arms with and without a polynomial, and the line through all of them.

    Args:
        arms: their names.
        sizes: of their gradients.
        means: (A,) over seeds, points.
        curve: the line.
        metric: its name.

    Returns:
        The figure.
    """
    figure = create_figure(5.6, 4.0)
    axes = figure.subplots()
    log2_size = np.log2([one.size for one in sizes])
    ends = np.array([log2_size.min() - 0.2, log2_size.max() + 0.2])
    axes.plot(ends, curve.intercept + float(curve.slope.mean) * ends, color="#9aa5b1", linewidth=1)
    for wanted, colour, marker, label in (
        (False, BASE_COLOUR, "o", "without polynomial"),
        (True, COLOURS[1], "s", "with"),
    ):
        kept = np.array([one.is_polynomial == wanted for one in sizes])
        axes.plot(log2_size[kept], means[kept], marker, color=colour, label=label)
    below = _find_labels_below(log2_size / np.ptp(ends), means / max(float(np.ptp(means)), 1e-9))
    for x, y, arm, is_below in zip(log2_size, means, arms, below, strict=True):
        place = (4, -11) if is_below else (4, 4)
        axes.annotate(arm, (float(x), float(y)), xytext=place, textcoords="offset points", fontsize=8)
    title = f"r = {curve.correlation:.3f}"
    finish_axes(axes, title=title, xlabel="gradient size, doublings of the baseline's", ylabel=f"{metric}, points")
    axes.legend(fontsize=8)
    return figure


def _find_labels_below(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Mark the points (A,) whose label would lie over that of a point a little higher; axes are 1 long."""
    right, up = x[None] - x[:, None], y[None] - y[:, None]  # from a row's point to a column's
    is_higher = (up > 0) | ((up == 0) & (right > 0))
    return (is_higher & (np.abs(right) < WIDEST_LABEL) & (up < LABEL_HEIGHT)).any(axis=1)
