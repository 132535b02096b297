"""Settings of the losses: PolyLoss coefficients, focal exponents, weights."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from pcdet_poly.config.sections.cell_loss import LossSection
from pcdet_poly.config.sections.section import Count, Fraction, NotNegative, Real, Section, parse_number


class PolyConfig(LossSection):
    """PolyLoss coefficients of a classification loss. `epsilon: 0` is the plain loss, through the same code."""

    epsilon: Real | tuple[Real, ...] = 0.0
    """Poly-1: added to the coefficient of the leading polynomial; one number, or one per class; at least -1."""
    epsilon_background: Real | tuple[Real, ...] | None = None
    """The epsilon of background alone. None: the same as `epsilon`."""
    epsilons: tuple[Real, ...] = Field(default=(), max_length=10)
    """Poly-N, in place of `epsilon`: eps_1 to eps_N, N at most 10; eps_j, at least -1/j, is added to the coefficient of
    the j-th power of 1 - P_t."""
    applies_to: Literal["both", "positives", "background"] = "both"
    """Where epsilon changes the loss; elsewhere the loss is the plain one."""
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    """How epsilon rises from 0 to its value: at once, linearly, or along half a cosine."""
    schedule_until: Annotated[float, BeforeValidator(parse_number), Field(gt=0, le=1)] = 1.0
    """Share of the training after which epsilon has its full value."""
    num_terms: Count | None = None
    """Drop-N: keep only this many polynomials of the plain loss. None: all."""
    allow_non_monotone: bool = False
    """Accept coefficients below -1/j, for experiments. Such a loss punishes confidence beyond some P_t."""
    background_weight: NotNegative = 1.0
    """Weight of background against positives; a control that changes their balance without PolyLoss."""
    weight: NotNegative = 1.0
    """Weight of this loss in the total."""
    match: Literal["none", "start", "step"] = "none"
    """Scale the loss so that its summed gradient on the logits is that of the plain loss (epsilon 0, no weights): by
    the ratio in the first batch, or by a running ratio. Then `weight` alone decides its size."""
    match_apart: bool = False
    """With `match`: scale positives and background each by its own ratio."""
    plain_exponent: NotNegative | None = None
    """With `match`: focusing exponent of the plain loss; 2 for a control with exponent 3. None: that of the loss."""

    @model_validator(mode="after")
    def _check_match(self) -> Self:
        if self.match == "none" and (self.match_apart or self.plain_exponent is not None):
            name = "match_apart" if self.match_apart else "plain_exponent"
            raise ValueError(f"{name} says how to match, which match: none does not; set match to start or step")
        return self

    @model_validator(mode="after")
    def _check_coefficients(self) -> Self:
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
    """Raise where eps_j, j = `power`, lets the loss rise with P_t."""
    if number < -1 / power:
        least = "-1" if power == 1 else f"-1/{power}"
        raise ValueError(
            f"{name} = {number:g} is below {least}: the loss can fall below 0 and rise again as P_t nears 1, "
            f"so confident right answers are punished; use at least {least}, or set allow_non_monotone: true"
        )


class HeatmapFocalConfig(PolyConfig):
    """Heatmap loss: Gaussian focal loss with PolyLoss coefficients. `epsilon: 0` is the focal loss."""

    kind: Literal["heatmap"] = "heatmap"
    """Name of the loss. It follows from the model and can be left out."""
    alpha: NotNegative = 2.0
    """Focusing exponent (PolyLoss's gamma); 3 is the control "gamma + 1"."""
    beta: NotNegative = 4.0
    """Exponent of the penalty reduction (1 - y) ** beta around a peak."""
    normalizer: Literal["peaks", "objects"] = "objects"
    """Divide the sum by the number of cells with target 1, or by the number of objects."""
    shared_peaks: Literal["once", "per_object"] = "once"
    """Whether a cell in which several objects of a class have their peak counts once, or once for each of them
    (PillarNeXt, CenterPoint's repository)."""


class SigmoidFocalConfig(PolyConfig):
    """Alpha-balanced sigmoid focal loss with PolyLoss coefficients, of anchor heads and of RSN's segmentation."""

    kind: Literal["sigmoid"] = "sigmoid"
    """Name of the loss. It follows from the model and can be left out."""
    alpha: Fraction | None = 0.25
    """Weight of positives, on both terms; background has 1 - alpha. None: no balance."""
    gamma: NotNegative = 2.0
    """Focusing exponent; 0 is cross-entropy, 3 the control "gamma + 1"."""
    balance_epsilon: bool = True
    """False leaves alpha off the epsilon term, as some public ports do. This is a control, not a recommendation."""

    @model_validator(mode="after")
    def _check_balance_control(self) -> Self:
        if not self.balance_epsilon and (self.alpha in (None, 0, 1) or self.epsilons or self.num_terms is not None):
            raise ValueError(
                "balance_epsilon: false needs 0 < alpha < 1 and a plain epsilon, no epsilons, no num_terms"
            )
        return self


class CenterBoxLossConfig(Section):
    """Losses of a centre head at object centres: L1 of box codes, and of IoU and velocity where the head has them."""

    weight: NotNegative = 2.0
    """Weight of the box codes' loss in the total."""
    code_weights: tuple[NotNegative, ...] = (1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
    """Weights of offset x, offset y, z, length, width, height, sin, cos; for heading bins the last two are those of
    the bin's cross-entropy and of the residual."""
    weight_iou: NotNegative = 1.0
    """Weight of model.iou_branch's loss in the total."""
    iou_regression: Literal["none", "aligned", "rotated"] = "none"
    """Loss 1 - DIoU of predicted boxes with their objects: 3D IoU less the squared distance of centres over the squared
    diagonal of the box around both. aligned: as if all headings were 0 (PillarNeXt); rotated: with headings."""
    weight_iou_regression: NotNegative = 1.0
    """Weight of `iou_regression` in the total."""
    weight_velocity: NotNegative = 0.4
    """Weight of model.velocity's loss in the total; 0.4 is a fifth of the box's, as in nuScenes recipes."""
    velocity_mean: Literal["known", "objects"] = "known"
    """Divide the velocity's loss by the number of objects of known velocity, or of all (PillarNeXt)."""

    @model_validator(mode="after")
    def _check_iou_regression_is_used(self) -> Self:
        if self.iou_regression == "none" and self.weight_iou_regression != 1:
            raise ValueError("weight_iou_regression: needs iou_regression: aligned or rotated")
        return self

    @model_validator(mode="after")
    def _check_code_weights(self) -> Self:
        if len(self.code_weights) != 8:
            raise ValueError(f"code_weights: {len(self.code_weights)} numbers for 8 codes")
        return self
