"""The loss family in pictures: polynomial coefficients, and loss and gradient against P_t."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from pcdet_poly.experiments.figures import BASE_COLOUR, COLOURS, DASHES, create_figure, finish_axes, pick_epsilon_colour
from pcdet_poly.losses import drop_n_focal, poly1_focal, poly_n_focal

EPSILONS = (-1.0, -0.4, 0.0, 1.0, 2.0)
POLY_N_EPSILONS = ((0.0, 2.0), (-1.0, -0.5), (-1.0, 1.0), (1.0, 1.0, 1.0))
NUM_TERMS = (1, 2, 10, 100)  # N of Drop-N


@dataclass(frozen=True)
class Curve:
    """One loss as a function of the right answer's log-odds."""

    name: str
    loss: Callable[[Tensor], Tensor]
    colour: Any


def list_curves() -> dict[str, tuple[Curve, ...]]:
    """List the rows of the figure by title, each with its baseline first."""
    cross_entropy = Curve("cross-entropy", _bind_loss(poly1_focal, gamma=0.0, epsilon=0.0), BASE_COLOUR)
    return {
        "Poly-1 cross-entropy": _list_epsilon_curves(0.0),
        "Poly-1 focal, gamma 2": _list_epsilon_curves(2.0),
        "Drop-N": (
            cross_entropy,
            *(
                Curve(f"N = {n}", _bind_loss(drop_n_focal, gamma=0.0, num_terms=n), colour)
                for n, colour in zip(NUM_TERMS, COLOURS, strict=False)
            ),
        ),
        "Poly-N": (
            cross_entropy,
            *(
                Curve(f"eps = {_join_numbers(e)}", _bind_loss(poly_n_focal, gamma=0.0, epsilons=e), colour)
                for e, colour in zip(POLY_N_EPSILONS, COLOURS, strict=False)
            ),
        ),
    }


def differentiate_curve(curve: Curve, p_t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Compute the loss, -dL/dP_t and |dL/dlogit|, each (N,), at probabilities `p_t` (N,) in (0, 1)."""
    z = torch.logit(p_t.double()).requires_grad_()
    loss = curve.loss(z)
    (of_logit,) = torch.autograd.grad(loss.sum(), z)
    return loss.detach(), -of_logit / (p_t * (1 - p_t)), of_logit.abs()


def draw_curves() -> Figure:
    """Draw one row for each part of the family: the loss, its slope in P_t, and its slope in the logit."""
    p_t = torch.linspace(0.002, 0.998, 499, dtype=torch.float64)
    rows = list_curves()
    figure = create_figure(10, 2.5 * len(rows))
    for row, (title, row_curves) in enumerate(rows.items()):
        panels = [figure.add_subplot(len(rows), 3, 3 * row + column + 1) for column in range(3)]
        others = iter(DASHES[1:])
        for curve in row_curves:
            is_base = curve.colour == BASE_COLOUR
            look = {"linewidth": 2.2, "linestyle": "-"} if is_base else {"linewidth": 1.4, "linestyle": next(others)}
            for axes, value in zip(panels, differentiate_curve(curve, p_t), strict=True):
                axes.plot(p_t.numpy(), value.numpy(), color=curve.colour, label=curve.name, **look)
        finish_axes(panels[0], title=f"{title}: loss", xlabel="P_t", xlim=(0, 1), ylim=(0, 5))
        finish_axes(panels[1], title="-dL / dP_t", xlabel="P_t", xlim=(0, 1), ylim=(0, 6))
        finish_axes(panels[2], title="|dL / dlogit|", xlabel="P_t", xlim=(0, 1), ylim=(0, None))
        panels[0].legend(fontsize=8, frameon=False, handlelength=3.2)
    return figure


def draw_coefficients(num_powers: int = 8) -> Figure:
    """Draw the factor of each power of 1 - P_t as bars, and the base loss's as outlines."""
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
    figure = create_figure(12, 5)
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
    """The factors of q, q^2, ..., q^num_powers, where q = 1 - P_t, in the expansion of a focal Poly-N loss.

    The loss is q^gamma (CE + sum eps_j q^j), where CE = q + q^2 / 2 + q^3 / 3 + ... is cross-entropy.

    Args:
        gamma: the focal exponent, 0 for cross-entropy.
        epsilons: eps_1, eps_2, ...; those that are not given are 0.
        num_terms: keep only so many terms of the expansion, as Drop-N does; None keeps all.
        num_powers: how many factors to return.

    Returns:
        `num_powers` factors, that of q first.
    """
    moved = dict(enumerate(epsilons, start=1))
    terms = range(1, num_powers - gamma + 1)
    kept = [1 / j + moved.get(j, 0.0) if num_terms is None or j <= num_terms else 0.0 for j in terms]
    return [0.0] * gamma + kept


def _list_epsilon_curves(gamma: float) -> tuple[Curve, ...]:
    return tuple(
        Curve(f"eps = {epsilon:g}", _bind_loss(poly1_focal, gamma=gamma, epsilon=epsilon), pick_epsilon_colour(epsilon))
        for epsilon in EPSILONS
    )


def _bind_loss(loss: Callable[..., Tensor], **settings: Any) -> Callable[[Tensor], Tensor]:
    return partial(_apply_loss, loss, settings)


def _apply_loss(loss: Callable[..., Tensor], settings: dict[str, Any], z: Tensor) -> Tensor:
    return loss(z, torch.ones_like(z, dtype=torch.bool), **settings)


def _join_numbers(numbers: Sequence[float]) -> str:
    return ", ".join(f"{number:g}" for number in numbers)
