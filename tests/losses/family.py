"""Every public loss as a function of (N,) log-odds of the right answer, for tests that hold for all of them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pcdet_poly import losses

OfLogOdds = Callable[[Tensor], Tensor]


def _yes(z: Tensor) -> Tensor:
    return torch.ones(z.shape, dtype=torch.bool, device=z.device)


def _two_classes(z: Tensor) -> tuple[Tensor, Tensor]:
    """Softmax logits of (N, 2) whose class 0 has log-odds z, and labels 0."""
    return torch.stack([z, torch.zeros_like(z)], dim=-1), torch.zeros(z.shape, dtype=torch.int64, device=z.device)


def _softmax(loss: Callable[..., Tensor], **settings: object) -> OfLogOdds:
    return lambda z: loss(*_two_classes(z), **settings)


def poly1_losses(epsilon: float | Tensor) -> dict[str, OfLogOdds]:
    """Poly-1 of every base loss; `epsilon` as in the losses."""
    return {
        "sigmoid cross-entropy": lambda z: losses.poly1_focal(z, _yes(z), gamma=0.0, epsilon=epsilon),
        "sigmoid focal": lambda z: losses.poly1_focal(z, _yes(z), gamma=2.0, alpha=0.25, epsilon=epsilon),
        "sigmoid focal, no": lambda z: losses.poly1_focal(-z, ~_yes(z), gamma=1.5, alpha=0.25, epsilon=epsilon),
        "sigmoid focal, soft form": lambda z: losses.poly1_focal(z, _yes(z).to(z), gamma=2.0, epsilon=epsilon),
        "sigmoid focal, expected P_t": lambda z: losses.poly1_focal(
            z, _yes(z).to(z), gamma=2.0, epsilon=epsilon, soft="pt"
        ),
        "heatmap peak": lambda z: losses.gaussian_poly1_focal(z, torch.ones_like(z), epsilon=epsilon),
        "heatmap background": lambda z: losses.gaussian_poly1_focal(-z, torch.full_like(z, 0.3), epsilon=epsilon),
        "softmax cross-entropy": _softmax(losses.poly1_cross_entropy, epsilon=epsilon),
        "softmax focal": _softmax(losses.poly1_softmax_focal, gamma=2.0, epsilon=epsilon),
    }


def other_losses() -> dict[str, OfLogOdds]:
    """Poly-N and Drop-N of every base loss."""
    many = {"epsilons": (-1.0, 0.5, -1 / 3)}
    few = {"num_terms": 3}
    return {
        "Poly-N sigmoid": lambda z: losses.poly_n_focal(z, _yes(z), gamma=2.0, alpha=0.25, **many),
        "Drop-N sigmoid": lambda z: losses.drop_n_focal(z, _yes(z), gamma=2.0, alpha=0.25, **few),
        "Poly-N heatmap": lambda z: losses.gaussian_poly_n_focal(-z, torch.full_like(z, 0.3), **many),
        "Drop-N heatmap": lambda z: losses.gaussian_drop_n_focal(z, torch.ones_like(z), **few),
        "Poly-N cross-entropy": _softmax(losses.poly_n_cross_entropy, **many),
        "Drop-N cross-entropy": _softmax(losses.drop_n_cross_entropy, **few),
        "Poly-N softmax focal": _softmax(losses.poly_n_softmax_focal, gamma=2.0, **many),
        "Drop-N softmax focal": _softmax(losses.drop_n_softmax_focal, gamma=2.0, **few),
    }
