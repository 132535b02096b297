"""What the digits study compares: losses, and for some of them other learning rates."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from pcdet_poly.losses import drop_n_cross_entropy, poly1_cross_entropy

NUM_TERMS = (1, 2, 5, 10, 30, 100)  # N of Drop-N
EPSILONS = (-1.0, -0.5, 0.5, 1.0, 2.0, 5.0)
RATE_FACTORS = (0.3, 3.0, 10.0)


@dataclass(frozen=True)
class Arm:
    """One way to train; without `epsilon` and `num_terms` the loss is cross-entropy."""

    epsilon: float = 0.0
    num_terms: int | None = None
    rate_factor: float = 1.0  # the learning rate is multiplied by it

    @property
    def name(self) -> str:
        """What the table and the figure call it."""
        rate = "" if self.rate_factor == 1 else f", rate x {self.rate_factor:g}"
        if self.num_terms is not None:
            return f"Drop-{self.num_terms}{rate}"
        return f"Poly-1, eps = {self.epsilon:g}{rate}" if self.epsilon else f"cross-entropy{rate}"

    def compute_loss(self, logits: Tensor, label: Tensor) -> Tensor:
        """Compute the loss (B,) of logits (B, K) with labels (B,), unreduced."""
        if self.num_terms is not None:
            return drop_n_cross_entropy(logits, label, num_terms=self.num_terms)
        return poly1_cross_entropy(logits, label, epsilon=self.epsilon)


BASELINE = Arm()


def list_arms() -> tuple[Arm, ...]:
    """List all arms: the baseline, Drop-N, Poly-1, then Drop-2 and the baseline at other learning rates."""
    other_rates = [Arm(num_terms=terms, rate_factor=rate) for terms in (2, None) for rate in RATE_FACTORS]
    return (
        BASELINE,
        *(Arm(num_terms=terms) for terms in NUM_TERMS),
        *(Arm(epsilon=epsilon) for epsilon in EPSILONS),
        *other_rates,
    )


def list_quick_arms() -> tuple[Arm, ...]:
    """List a few arms for a first look."""
    return (BASELINE, Arm(num_terms=1), Arm(num_terms=10), Arm(epsilon=-1.0), Arm(epsilon=2.0))
