"""The losses that are compared, and the questions that they are compared for."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from pcdet_poly.experiments.classification.data import NOISE, DataName
from pcdet_poly.losses import drop_n_cross_entropy, poly1_cross_entropy


@dataclass(frozen=True)
class Arm:
    """One way to train; by default the loss is cross-entropy, and one field at most makes another of it."""

    data: DataName = "numbers"
    poly1: float = 0.0  # epsilon of Poly-1
    num_terms: int | None = None  # of Drop-N
    num_doubled: int | None = None  # N of the Poly-N with eps_j = 1/j: twice cross-entropy's first N coefficients
    rate_factor: float = 1.0  # the learning rate is multiplied by it
    is_matched: bool = False  # whether the loss is weighed so that its gradient is as large as cross-entropy's

    @property
    def name(self) -> str:
        """What tables and figures call it."""
        matched = ", size-matched" if self.is_matched else ""
        rate = "" if self.rate_factor == 1 else f", rate x {self.rate_factor:g}"
        return f"{self._name_loss()}{matched}{rate}"

    @property
    def epsilon(self) -> float | None:
        """The epsilon of Poly-1, 0 for cross-entropy, None for other losses."""
        return self.poly1 if self.num_terms is None and self.num_doubled is None else None

    @property
    def first_coefficient(self) -> float:
        """The coefficient of the first polynomial, 1 - P_t: 1 for cross-entropy and Drop-N."""
        return 2.0 if self.num_doubled is not None else 1 + self.poly1

    def compute_loss(self, logits: Tensor, label: Tensor) -> Tensor:
        """Compute the loss (B,) of logits (B, K) with labels (B,), unreduced and without any weight."""
        if self.num_terms is not None:
            return drop_n_cross_entropy(logits, label, num_terms=self.num_terms)
        loss = poly1_cross_entropy(logits, label, epsilon=self.poly1)
        if self.num_doubled is not None:
            # As a sum, because poly_n_cross_entropy takes ten coefficients at most.
            loss = loss + drop_n_cross_entropy(logits, label, num_terms=self.num_doubled)
        return loss

    def _name_loss(self) -> str:
        if self.num_terms is not None:
            return f"Drop-{self.num_terms}"
        if self.num_doubled is not None:
            return f"Poly-{self.num_doubled}, eps_j = 1/j"
        return f"eps = {self.poly1:g}" if self.poly1 else "cross-entropy"


@dataclass(frozen=True)
class Comparison:
    """Arms that are compared with the first of them, as one family of tests."""

    question: str
    arms: tuple[Arm, ...]


PAPER_EPSILON = 2.0  # the paper's for ImageNet
CUT = 100  # terms of the cut whose learning rate is changed; with 100 classes they keep 63 % of the first gradient
PLAIN, NOISY = Arm(), Arm("noisy digits")
WHICH_EPSILON = "Which coefficient?"
HOW_MANY_CHANGED = "How many coefficients?"
HOW_MANY_TERMS = "How many terms are needed?"
TOO_FEW_TERMS = "How many are too few?"
CUT_OR_SIZE = "Is a cut the same as a smaller gradient?"
CUT_OR_RATE = "Is a cut the same as a learning rate?"
NOISE_SEEN = f"Is a known effect seen? {100 * NOISE:g} % of the labels drawn anew: few terms forgive"


def list_comparisons(*, quick: bool) -> tuple[Comparison, ...]:
    """List what is compared; in the quick study with few arms and without the questions that need many.

    Arms that hardly learn spread much more than others, and are a family of their own: an error that they share with
    others would hide these.
    """
    if quick:
        return (
            Comparison(WHICH_EPSILON, (PLAIN, Arm(poly1=PAPER_EPSILON), _match(PAPER_EPSILON))),
            Comparison(HOW_MANY_TERMS, (PLAIN, Arm(num_terms=CUT))),
            Comparison(NOISE_SEEN, (NOISY, Arm("noisy digits", num_terms=5))),
        )
    doubled = tuple(Arm(num_doubled=num) for num in (2, 10, CUT))
    enough, too_few = (tuple(Arm(num_terms=num) for num in nums) for nums in ((CUT, 300, 600), (1, 10, 30)))
    rates = tuple(Arm(num_terms=CUT, rate_factor=factor) for factor in (0.3, 3.0))
    same_size = Arm(num_terms=CUT, is_matched=True)
    poly1 = _list_poly1(-1.0, -0.5, 0.5, 1.0, PAPER_EPSILON, 5.0)
    noisy = (Arm("noisy digits", num_terms=5), *_list_poly1(-1.0, PAPER_EPSILON, data="noisy digits"))
    return (
        Comparison(WHICH_EPSILON, (PLAIN, *poly1, _match(-1.0), _match(1.0), _match(PAPER_EPSILON))),
        Comparison(HOW_MANY_CHANGED, (PLAIN, Arm(poly1=1.0), *doubled)),
        Comparison(HOW_MANY_TERMS, (PLAIN, *enough)),
        Comparison(TOO_FEW_TERMS, (PLAIN, *too_few)),
        Comparison(CUT_OR_SIZE, (Arm(num_terms=CUT), same_size, PLAIN)),
        Comparison(CUT_OR_RATE, (Arm(num_terms=CUT), *rates)),
        Comparison("What does the learning rate do to cross-entropy?", (PLAIN, *_list_rates(0.3, 3.0))),
        Comparison(NOISE_SEEN, (NOISY, *noisy)),
    )


def _list_poly1(*epsilons: float, data: DataName = "numbers") -> tuple[Arm, ...]:
    return tuple(Arm(data, epsilon) for epsilon in epsilons)


def _match(epsilon: float) -> Arm:
    return Arm(poly1=epsilon, is_matched=True)


def _list_rates(*factors: float) -> tuple[Arm, ...]:
    return tuple(Arm(rate_factor=factor) for factor in factors)
