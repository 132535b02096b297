"""The gradient of an arm's loss on the logits: its size, and the part that comes from the first polynomial."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pcdet_poly.experiments.classification.arms import Arm
from pcdet_poly.losses import drop_n_cross_entropy, poly1_cross_entropy
from pcdet_poly.losses.gradient_match import DECAY


@dataclass(frozen=True)
class GradientRecord:
    """One batch during training. Sizes are sums of |dL/dlogit| over the batch, before any weight of the arm."""

    step: int
    mean_p_t: float  # confidence in the labels of the batch
    size: float  # the loss's size divided by cross-entropy's on the same logits
    first_share: float  # size of the first polynomial with its coefficient, divided by the loss's size


def record_gradients(arm: Arm, logits: Tensor, label: Tensor, *, step: int) -> GradientRecord:
    """Measure one batch.

    Args:
        arm: whose loss is measured.
        logits: (B, K), detached.
        label: (B,).
        step: of the training.

    Returns:
        What was measured.
    """
    x = logits.detach().double()  # the sizes of well-learnt batches are small
    whole = measure_size(arm.compute_loss, x, label)
    plain = measure_size(_cross_entropy, x, label)
    first = arm.first_coefficient * measure_size(_first_polynomial, x, label)
    p_t = x.softmax(-1).gather(-1, label[:, None]).mean()
    return GradientRecord(step, float(p_t), float(whole / plain), float(first / whole))


class RunningMatch:
    """The weight that brings a loss to cross-entropy's size, from sums over the last batches."""

    def __init__(self) -> None:
        self.plain = self.own = torch.zeros(())

    def update(self, arm: Arm, logits: Tensor, label: Tensor) -> Tensor:
        """Measure a batch and return the weight for it.

        Args:
            arm: whose loss is weighed.
            logits: (B, K).
            label: (B,).

        Returns:
            One number.
        """
        self.plain = DECAY * self.plain + (1 - DECAY) * measure_size(_cross_entropy, logits, label)
        self.own = DECAY * self.own + (1 - DECAY) * measure_size(arm.compute_loss, logits, label)
        return self.plain / self.own.clamp(min=1e-30)


def measure_size(loss: Callable[[Tensor, Tensor], Tensor], logits: Tensor, label: Tensor) -> Tensor:
    """Measure the size of a loss's gradient on logits.

    Args:
        loss: unreduced, of logits and labels.
        logits: (B, K).
        label: (B,).

    Returns:
        The sum of |dL/dlogit| over the batch, one number without a graph.
    """
    x = logits.detach().requires_grad_()
    (slope,) = torch.autograd.grad(loss(x, label).sum(), x)
    return slope.abs().sum()


def _cross_entropy(logits: Tensor, label: Tensor) -> Tensor:
    return poly1_cross_entropy(logits, label, epsilon=0.0)


def _first_polynomial(logits: Tensor, label: Tensor) -> Tensor:
    return drop_n_cross_entropy(logits, label, num_terms=1)
