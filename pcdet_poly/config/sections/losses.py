"""Settings of the losses: PolyLoss coefficients, focal exponents, weights."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from pcdet_poly.config.sections.section import Count, Fraction, NotNegative, Real, Section, number_from_text


class PolyConfig(Section):
    """PolyLoss coefficients of a classification loss. `epsilon: 0` is the plain loss, through the same code."""

    epsilon: Real | tuple[Real, ...] = 0.0
    """Poly-1: added to the coefficient of the leading polynomial. One number, or one per class. At least -1."""
    epsilon_background: Real | tuple[Real, ...] | None = None
    """The same for background alone; None: as `epsilon`."""
    epsilons: tuple[Real, ...] = Field(default=(), max_length=10)
    """Poly-N, N at most 10: eps_1 to eps_N, added for the powers of 1 - P_t in place of `epsilon`. At least -1/j."""
    applies_to: Literal["both", "positives", "background"] = "both"
    """Where epsilon counts; elsewhere the loss is the plain one."""
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    """How epsilon gets from 0 to its value: at once, linearly, or along half a cosine."""
    schedule_until: Annotated[float, BeforeValidator(number_from_text), Field(gt=0, le=1)] = 1.0
    """Share of the training after which epsilon has its value."""
    num_terms: Count | None = None
    """Drop-N: keep only this many polynomials of the plain loss. None: all."""
    allow_non_monotone: bool = False
    """Accept coefficients below -1/j. Such a loss punishes confidence beyond some P_t: for the curious."""
    background_weight: NotNegative = 1.0
    """Control: weight of background against positives."""
    weight: NotNegative = 1.0
    """Weight of this loss in the total."""

    @model_validator(mode="after")
    def _coefficients_make_sense(self) -> Self:
        one_term = {"epsilon": self.epsilon, "epsilon_background": self.epsilon_background}
        named = {name: value for name, value in one_term.items() if value not in (None, 0.0)}
        if self.num_terms is not None and (named or self.epsilons):
            raise ValueError(
                f"num_terms drops polynomials of the plain loss: leave out {', '.join(named) or 'epsilons'}"
            )
        if self.epsilons and named:
            raise ValueError(f"epsilons takes the place of {', '.join(named)}: name only one of them")
        if self.epsilon_background is not None and self.applies_to != "both":
            raise ValueError(f"epsilon_background together with applies_to: {self.applies_to}: leave out one of them")
        if not self.allow_non_monotone:
            for name, value in one_term.items():
                for number in value if isinstance(value, tuple) else () if value is None else (value,):
                    _refuse_non_monotone(name, number, 1)
            for j, number in enumerate(self.epsilons, start=1):
                _refuse_non_monotone(f"epsilons[{j - 1}]", number, j)
        return self


def _refuse_non_monotone(name: str, number: float, power: int) -> None:
    if number < -1 / power:
        least = "-1" if power == 1 else f"-1/{power}"
        raise ValueError(
            f"{name} = {number:g} is below {least}: the loss can fall below 0 and rise again as P_t nears 1, "
            f"so confident right answers are punished; use at least {least}, or set allow_non_monotone: true"
        )


class ClassificationConfig(PolyConfig):
    """Heatmap loss: Gaussian focal loss with PolyLoss coefficients. `epsilon: 0` is the focal loss."""

    kind: Literal["heatmap"] = "heatmap"
    """Which loss; follows from the model."""
    alpha: NotNegative = 2.0
    """Focusing exponent (PolyLoss's gamma); 3 is the control "gamma + 1"."""
    beta: NotNegative = 4.0
    """Exponent of the penalty reduction (1 - y) ** beta around a peak."""
    normalizer: Literal["peaks", "objects"] = "objects"
    """Divide the sum by the number of cells with target 1, or by the number of objects."""


class SigmoidFocalConfig(PolyConfig):
    """Alpha-balanced sigmoid focal loss with PolyLoss coefficients: anchor heads, RSN's segmentation."""

    kind: Literal["sigmoid"] = "sigmoid"
    """Which loss; follows from the model."""
    alpha: Fraction | None = 0.25
    """Weight of positives, 1 - alpha that of background, on both terms. None: no balance."""
    gamma: NotNegative = 2.0
    """Focusing exponent; 0 is cross-entropy, 3 the control "gamma + 1"."""
    balance_epsilon: bool = True
    """False: leave alpha off the epsilon term, as some public ports do. A control, not a recommendation."""

    @model_validator(mode="after")
    def _control_is_poly1(self) -> Self:
        if not self.balance_epsilon and (self.alpha in (None, 0, 1) or self.epsilons or self.num_terms is not None):
            raise ValueError(
                "balance_epsilon: false needs 0 < alpha < 1 and a plain epsilon, no epsilons, no num_terms"
            )
        return self


class RegressionConfig(Section):
    """L1 losses at object centres: box codes, and what else the head says of a box."""

    weight: NotNegative = 2.0
    """Weight of the box codes' loss in the total."""
    code_weights: tuple[NotNegative, ...] = (1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
    """Weights of offset x, offset y, z, length, width, height, sin, cos; for heading bins the last two are those of
    the bin's cross-entropy and of the residual."""
    weight_iou: NotNegative = 1.0
    """Weight of model.iou_branch's loss in the total."""
    weight_velocity: NotNegative = 0.4
    """Weight of model.velocity's loss in the total; 0.4 is a fifth of the box's, as in nuScenes recipes."""

    @model_validator(mode="after")
    def _one_weight_per_code(self) -> Self:
        if len(self.code_weights) != 8:
            raise ValueError(f"code_weights: {len(self.code_weights)} numbers for 8 codes")
        return self
