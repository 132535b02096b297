"""Outcomes of all arms and seeds -> one figure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pcdet_poly.experiments.digits.arms import BASELINE, Arm
from pcdet_poly.experiments.digits.results import ArmRow, OutcomesByArm, build_rows
from pcdet_poly.experiments.digits.train import SHARE_EVERY
from pcdet_poly.experiments.figures import BASE_COLOUR, COLOURS, MARKERS, create_figure, finish_axes


def draw_results(outcomes: OutcomesByArm) -> Figure:
    """Draw four panels: Drop-N, epsilon, mean P_t, and the share of the first polynomial during training."""
    by_arm = dict(zip(outcomes, build_rows(outcomes), strict=True))
    figure = create_figure(12, 8)
    panels = figure.subplots(2, 2)
    _draw_drop_n(panels[0, 0], by_arm)
    _draw_epsilons(panels[0, 1], by_arm)
    _draw_p_t(panels[1, 0], by_arm)
    _draw_shares(panels[1, 1], outcomes)
    return figure


def _draw_drop_n(axes: Axes, by_arm: dict[Arm, ArmRow]) -> None:
    base = by_arm[BASELINE]
    label = "cross-entropy, mean and sd over seeds"
    axes.axhspan(base.accuracy - base.accuracy_sd, base.accuracy + base.accuracy_sd, color="0.85", label=label)
    axes.axhline(base.accuracy, color=BASE_COLOUR, linewidth=1)
    dropped = {arm: row for arm, row in by_arm.items() if arm.num_terms is not None}
    for number, rate in enumerate(sorted({arm.rate_factor for arm in dropped}, key=lambda rate: (rate != 1, rate))):
        chosen = [(arm.num_terms, row) for arm, row in dropped.items() if arm.rate_factor == rate]
        terms, found = zip(*chosen, strict=True)
        mean, sd = [row.accuracy for row in found], [row.accuracy_sd for row in found]
        name = "Drop-N" if rate == 1 else f"learning rate x {rate:g}"
        beside = 1.13**number * np.array(terms)  # so that equal N do not hide one another
        axes.errorbar(
            beside, mean, sd, fmt=f"{MARKERS[number]}-", color=COLOURS[number], label=name, capsize=3, linewidth=1.2
        )
    axes.legend(fontsize=8, frameon=False, loc="lower right")
    finish_axes(axes, title="The first N polynomials alone", xlabel="N", ylabel="accuracy, %", xscale="log")


def _draw_epsilons(axes: Axes, by_arm: dict[Arm, ArmRow]) -> None:
    found = [(arm.epsilon, row) for arm, row in by_arm.items() if arm.epsilon and arm.rate_factor == 1]
    epsilons, chosen = zip(*sorted(found, key=lambda pair: pair[0]), strict=True)
    mean, half = [row.difference.mean for row in chosen], [row.difference.half_width for row in chosen]
    axes.axhline(0, color=BASE_COLOUR, linewidth=1)
    axes.errorbar(epsilons, mean, half, fmt="o", color=COLOURS[1], capsize=3)
    title = "Poly-1 against cross-entropy, paired by seed, 95 %"
    finish_axes(axes, title=title, xlabel="epsilon", ylabel="difference in accuracy, points")


def _draw_p_t(axes: Axes, by_arm: dict[Arm, ArmRow]) -> None:
    found = sorted(
        (arm.epsilon, row.mean_p_t) for arm, row in by_arm.items() if arm.num_terms is None and arm.rate_factor == 1
    )
    axes.plot(*zip(*found, strict=True), "o-", color=COLOURS[2])
    finish_axes(axes, title="Confidence in the right digit", xlabel="epsilon", ylabel="mean P_t on test digits")


def _draw_shares(axes: Axes, outcomes: OutcomesByArm) -> None:
    measured = _average_seeds([[share.measured for share in found.first_shares] for found in outcomes[BASELINE]])
    expected = _average_seeds([[share.expected for share in found.first_shares] for found in outcomes[BASELINE]])
    steps = SHARE_EVERY * np.arange(len(measured))
    axes.plot(steps, measured, color=COLOURS[0], linewidth=3, alpha=0.5, label="measured by autograd")
    axes.plot(steps, expected, color=BASE_COLOUR, linewidth=1, label="P_t, weighted by 1 - P_t")
    axes.legend(fontsize=8, frameon=False)
    title = "Share of cross-entropy's gradient in its first polynomial"
    finish_axes(axes, title=title, xlabel="step", ylabel="share of sum |dL/dlogit|", ylim=(0, 1))


def _average_seeds(series: Sequence[Sequence[float]]) -> np.ndarray:
    mean: np.ndarray = np.mean(np.array(series), axis=0)
    return mean
