"""What the study compares: the plain loss, values of epsilon, and epsilon -1 at the plain loss's size."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol

import torch
from torch import Tensor

from pcdet_poly.losses import poly1_cross_entropy, poly1_focal

DetectorName = Literal["mask_rcnn", "retinanet"]
DECAY = 0.9  # of the running sums of a matched loss, per batch
GAMMA, ALPHA = 2.0, 0.25  # torchvision's RetinaNet, and the paper's


@dataclass(frozen=True)
class Arm:
    """One way to train; epsilon 0 is the detector's own loss."""

    epsilon: float
    is_matched: bool = False  # whether the loss is weighed so that its gradient is as large as the plain loss's

    @property
    def name(self) -> str:
        """What tables and figures call it."""
        matched = ", size-matched" if self.is_matched else ""
        return f"eps = {self.epsilon:g}{matched}" if self.epsilon or self.is_matched else "plain"


ARMS = (Arm(0.0), Arm(-1.0), Arm(-1.0, is_matched=True), Arm(1.0), Arm(2.0))
QUICK_ARMS = ARMS[:2]


class PolyLoss(Protocol):
    """An unreduced classification loss that has an epsilon: one number per answer."""

    def __call__(self, logits: Tensor, labels: Tensor, *, epsilon: float) -> Tensor:
        """Compute it."""


def focal_loss(logits: Tensor, labels: Tensor, *, epsilon: float) -> Tensor:
    """RetinaNet's focal loss with our epsilon, unreduced.

    Args:
        logits: (..., K).
        labels: yes-or-no answers of the same shape.
        epsilon: of Poly-1; 0 for the plain loss.

    Returns:
        Shape of the logits.
    """
    return poly1_focal(logits, labels, gamma=GAMMA, alpha=ALPHA, epsilon=epsilon)


LOSSES: dict[DetectorName, PolyLoss] = {"mask_rcnn": poly1_cross_entropy, "retinanet": focal_loss}


@dataclass
class ArmLoss:
    """The loss of one arm, and, where it is matched, what was measured of its size so far."""

    loss: PolyLoss
    arm: Arm
    sizes: list[Tensor] = field(default_factory=lambda: [torch.zeros(()), torch.zeros(())])  # plain, with epsilon

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Compute the loss per answer, weight applied; a matched one measures the batch first."""
        loss = self.loss(logits, labels, epsilon=self.arm.epsilon)
        if not self.arm.is_matched:
            return loss
        for place, epsilon in enumerate((0.0, self.arm.epsilon)):
            size = measure_size(self.loss, logits, labels, epsilon=epsilon)
            self.sizes[place] = DECAY * self.sizes[place] + (1 - DECAY) * size
        return loss * (self.sizes[0] / self.sizes[1].clamp(min=1e-30))


def measure_size(loss: PolyLoss, logits: Tensor, labels: Tensor, *, epsilon: float) -> Tensor:
    """Measure the size of a loss's gradient: the sum of |dL/dlogit|.

    Args:
        loss: the loss.
        logits: as the loss takes them.
        labels: as the loss takes them.
        epsilon: of the loss.

    Returns:
        One number, without a graph.
    """
    x = logits.detach().requires_grad_()
    with torch.enable_grad():
        (slope,) = torch.autograd.grad(loss(x, labels, epsilon=epsilon).sum(), x)
    return slope.abs().sum()
