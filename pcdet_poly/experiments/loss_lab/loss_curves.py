"""The family in pictures: polynomial coefficients; loss and gradient against P_t."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from pcdet_poly.experiments.figures import BASE_COLOUR, COLOURS, colour_of_epsilon, finish_axes, new_figure
from pcdet_poly.losses import drop_n_focal, poly1_focal, poly_n_focal

EPSILONS = (-1.0, -0.4, 0.0, 1.0, 2.0)
POLY_N = ((0.0, 2.0), (-1.0, -0.5), (-1.0, 1.0), (1.0, 1.0, 1.0))
DROPPED = (1, 2, 10, 100)


@dataclass(frozen=True)
class Curve:
    """One loss as a function of the right answer's log-odds."""

    name: str
    loss: Callable[[Tensor], Tensor]
    colour: Any


def curves() -> dict[str, tuple[Curve, ...]]:
    """The rows of the figure, each with its baseline first."""
    cross_entropy = Curve("cross-entropy", _loss(poly1_focal, gamma=0.0, epsilon=0.0), BASE_COLOUR)
    return {
        "Poly-1 cross-entropy": _epsilons(0.0),
        "Poly-1 focal, gamma 2": _epsilons(2.0),
        "Drop-N": (
            cross_entropy,
            *(
                Curve(f"N = {n}", _loss(drop_n_focal, gamma=0.0, num_terms=n), colour)
                for n, colour in zip(DROPPED, COLOURS, strict=False)
            ),
        ),
        "Poly-N": (
            cross_entropy,
            *(
                Curve(f"eps = {_listed(e)}", _loss(poly_n_focal, gamma=0.0, epsilons=e), colour)
                for e, colour in zip(POLY_N, COLOURS, strict=False)
            ),
        ),
    }


def evaluate(curve: Curve, p_t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Loss, -dL/dP_t and |dL/dlogit| at probabilities `p_t` (N,) in (0, 1)."""
    z = torch.logit(p_t.double()).requires_grad_()
    loss = curve.loss(z)
    (of_logit,) = torch.autograd.grad(loss.sum(), z)
    return loss.detach(), -of_logit / (p_t * (1 - p_t)), of_logit.abs()


def draw_curves() -> Figure:
    """One row of loss, slope in P_t and slope in the logit for each part of the family."""
    p_t = torch.linspace(0.002, 0.998, 499, dtype=torch.float64)
    rows = curves()
    figure = new_figure(12, 3.1 * len(rows))
    for row, (title, row_curves) in enumerate(rows.items()):
        panels = [figure.add_subplot(len(rows), 3, 3 * row + column + 1) for column in range(3)]
        for curve in row_curves:
            values = evaluate(curve, p_t)
            width = 2.2 if curve.colour == BASE_COLOUR else 1.4
            for axes, value in zip(panels, values, strict=True):
                axes.plot(p_t.numpy(), value.numpy(), color=curve.colour, label=curve.name, linewidth=width)
        finish_axes(panels[0], title=f"{title}: loss", xlabel="P_t", xlim=(0, 1), ylim=(0, 5))
        finish_axes(panels[1], title="-dL / dP_t", xlabel="P_t", xlim=(0, 1), ylim=(0, 6))
        finish_axes(panels[2], title="|dL / dlogit|", xlabel="P_t", xlim=(0, 1), ylim=(0, None))
        panels[0].legend(fontsize=8, frameon=False)
    return figure


def draw_coefficients(num_powers: int = 8) -> Figure:
    """Bars: the factor of each power of 1 - P_t; outlines: the base loss's."""
    panels: list[tuple[str, int, Sequence[float], int | None]] = [
        ("cross-entropy", 0, (), None),
        ("Drop-2", 0, (), 2),
        ("Poly-1, eps = 2", 0, (2.0,), None),
        ("Poly-2, eps = -1, 1", 0, (-1.0, 1.0), None),
        ("focal, gamma 2", 2, (), None),
        ("Drop-2 focal", 2, (), 2),
        ("Poly-1 focal, eps = -1", 2, (-1.0,), None),
        ("Poly-1 focal, eps = 2", 2, (2.0,), None),
    ]
    figure = new_figure(12, 5)
    for position, (title, gamma, epsilons, num_terms) in enumerate(panels, start=1):
        axes = figure.add_subplot(2, 4, position)
        base = polynomial_coefficients(gamma, num_powers=num_powers)
        ours = polynomial_coefficients(gamma, epsilons, num_terms, num_powers=num_powers)
        powers = range(1, num_powers + 1)
        axes.bar(powers, ours, color=COLOURS[0], width=0.7)
        axes.bar(powers, base, color="none", edgecolor=BASE_COLOUR, width=0.7, linewidth=1.0)
        finish_axes(axes, title=title, xlabel="power of 1 - P_t", ylim=(0, 3.1), xticks=list(powers))
    return figure


def polynomial_coefficients(
    gamma: int, epsilons: Sequence[float] = (), num_terms: int | None = None, *, num_powers: int
) -> list[float]:
    """Factors of q, q^2, ..., q^num_powers in q^gamma (C + sum eps_j q^j), or in its first `num_terms` terms."""
    moved = dict(enumerate(epsilons, start=1))
    terms = range(1, num_powers - gamma + 1)
    kept = [1 / j + moved.get(j, 0.0) if num_terms is None or j <= num_terms else 0.0 for j in terms]
    return [0.0] * gamma + kept


def _epsilons(gamma: float) -> tuple[Curve, ...]:
    return tuple(
        Curve(f"eps = {epsilon:g}", _loss(poly1_focal, gamma=gamma, epsilon=epsilon), colour_of_epsilon(epsilon))
        for epsilon in EPSILONS
    )


def _loss(loss: Callable[..., Tensor], **settings: Any) -> Callable[[Tensor], Tensor]:
    return partial(_of_log_odds, loss, settings)


def _of_log_odds(loss: Callable[..., Tensor], settings: dict[str, Any], z: Tensor) -> Tensor:
    return loss(z, torch.ones_like(z, dtype=torch.bool), **settings)


def _listed(numbers: Sequence[float]) -> str:
    return ", ".join(f"{number:g}" for number in numbers)
