"""Results of the classification study -> figures like the paper's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pcdet_poly.experiments.classification.arms import PLAIN, WHICH_EPSILON, Arm
from pcdet_poly.experiments.classification.gradients import GradientRecord
from pcdet_poly.experiments.classification.trials import Results
from pcdet_poly.experiments.figures import BASE_COLOUR, COLOURS, DASHES, MARKERS, create_figure, finish_axes
from pcdet_poly.experiments.paper.rows import PaperRow

_DRAWN_ARMS = 5  # curves that one panel can show apart
_WINDOW = 3  # measured batches that a point of a curve is the mean of


def draw_epsilons(rows: Sequence[PaperRow]) -> Figure:
    """Draw the difference in accuracy against epsilon, as it is and at cross-entropy's gradient size."""
    figure = create_figure(7, 4)
    axes = figure.subplots()
    axes.axhline(0, color=BASE_COLOUR, linewidth=1)
    asked = sorted((row for row in rows if row.question == WHICH_EPSILON), key=lambda row: row.epsilon or 0.0)
    for number, (name, ending) in enumerate((("as it is", ""), ("at cross-entropy's size", ", size-matched"))):
        chosen = [row for row in asked if row.epsilon is not None and row.arm == f"eps = {row.epsilon:g}{ending}"]
        epsilons = np.array([row.epsilon for row in chosen]) + 0.06 * number  # beside each other
        mean = np.array([row.difference for row in chosen])
        ends = np.nan_to_num(np.array([[row.difference - row.low, row.high - row.difference] for row in chosen]).T)
        axes.errorbar(epsilons, mean, ends, fmt=MARKERS[number], color=COLOURS[number], capsize=3, label=name)
    axes.legend(frameon=False)
    title = "Poly-1 minus cross-entropy, two-digit numbers, simultaneous 95 % intervals"
    finish_axes(axes, title=title, xlabel="epsilon", ylabel="accuracy, points")
    return figure


def draw_terms(results: Results) -> Figure:
    """Draw the accuracy of cross-entropy's first N polynomials, of every seed and in the mean, against N."""
    figure = create_figure(7, 4)
    axes = figure.subplots()
    cuts = {trial.arm.num_terms: trial.arm for trial in results if _is_plain_cut(trial.arm)}
    terms = sorted(num for num in cuts if num is not None)
    points = np.array([_list_accuracies(results, cuts[num]) for num in terms])  # (N, S)
    axes.plot(np.repeat(terms, points.shape[1]), points.ravel(), ".", color=COLOURS[0], alpha=0.5, label="one seed")
    axes.plot(terms, points.mean(1), f"{MARKERS[0]}-", color=COLOURS[0], label="first N polynomials")
    plain = float(np.mean(_list_accuracies(results, PLAIN)))
    axes.axhline(plain, color=BASE_COLOUR, linewidth=1, linestyle=DASHES[1], label="cross-entropy: all of them")
    axes.legend(frameon=False, loc="lower right")
    finish_axes(axes, title="How many terms, 100 classes", xlabel="N", ylabel="accuracy, %", xscale="log")
    return figure


def draw_training(results: Results) -> Figure:
    """Draw over the steps: the first polynomial's share of the gradient, confidence, and size of the gradient."""
    figure = create_figure(13, 4)
    arms = _choose_drawn(results)
    names = {
        "first_share": "share of the gradient in the first polynomial",
        "mean_p_t": "mean P_t of the batch",
        "size": "gradient size, cross-entropy = 1",
    }
    panels = figure.subplots(1, len(names))
    for axes, (name, label) in zip(panels, names.items(), strict=True):
        for number, arm in enumerate(arms):
            _draw_curve(axes, results, arm, name, number)
        finish_axes(axes, xlabel="step", ylabel=label)
    panels[0].legend(frameon=False, fontsize=8)
    return figure


def _draw_curve(axes: Axes, results: Results, arm: Arm, name: str, number: int) -> None:
    curves = [result.records for trial, result in results.items() if trial.arm == arm]
    mean = np.mean([[_read(record, name) for record in curve] for curve in curves], axis=0)
    whole = len(mean) // _WINDOW * _WINDOW
    smooth = mean[:whole].reshape(-1, _WINDOW).mean(1)
    steps = np.array([record.step for record in curves[0]])[:whole].reshape(-1, _WINDOW).mean(1)
    colour = BASE_COLOUR if arm == PLAIN else COLOURS[number]
    axes.plot(
        steps, smooth, color=colour, linestyle=DASHES[number], marker=MARKERS[number], markevery=3, label=arm.name
    )


def _choose_drawn(results: Results) -> list[Arm]:
    """Choose cross-entropy, the ends of epsilon, and the largest cuts that learn something."""
    arms = list(dict.fromkeys(trial.arm for trial in results if trial.arm.data == PLAIN.data))
    poly1 = [arm for arm in arms if arm.poly1 in (-1.0, 2.0) and not arm.is_matched]
    cuts = [arm for arm in arms if _is_plain_cut(arm) and arm.num_terms in (10, 100)]
    return [PLAIN, *poly1, *cuts][:_DRAWN_ARMS]


def _is_plain_cut(arm: Arm) -> bool:
    return arm == Arm(num_terms=arm.num_terms) and arm.num_terms is not None


def _list_accuracies(results: Results, arm: Arm) -> list[float]:
    return [100 * result.accuracy for trial, result in results.items() if trial.arm == arm]


def _read(record: GradientRecord, name: str) -> float:
    value: float = getattr(record, name)
    return value
