"""Settings of a classification loss: what is accepted, what is refused and why, and what each does."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from pcdet_poly import losses
from pcdet_poly.config.schema import Config
from pcdet_poly.config.sections.losses import HeatmapFocalConfig, PolyConfig, SigmoidFocalConfig
from pcdet_poly.losses.coefficients import resolve_epsilons, schedule_factor

GENERATOR = torch.Generator().manual_seed(3)
LOGITS = torch.randn(2, 3, 5, 4, generator=GENERATOR) * 2
HEATMAP = torch.where(torch.rand(2, 3, 5, 4, generator=GENERATOR) < 0.2, 1.0, 0.4)
PEAK = HEATMAP == 1


def _at(epsilon: float | Tensor, **settings: float) -> Tensor:
    return losses.gaussian_poly1_focal(LOGITS, HEATMAP, epsilon=epsilon, **settings)


def _configured(**settings: Any) -> Tensor:
    progress = settings.pop("progress", 1.0)
    return losses.heatmap_loss(LOGITS, HEATMAP, HeatmapFocalConfig(**settings), progress=progress)


def _split(at_peaks: Tensor, elsewhere: Tensor) -> Tensor:
    return torch.where(PEAK, at_peaks, elsewhere)


def _by_class(*maps: Tensor) -> Tensor:
    return torch.stack([each[:, k] for k, each in enumerate(maps)], dim=1)


CASES: dict[str, tuple[dict[str, Any], Tensor]] = {
    "default is focal": ({}, _at(0.0)),
    "one number": ({"epsilon": -1}, _at(-1.0)),
    "text number": ({"epsilon": "-4e-1"}, _at(-0.4)),
    "per class": ({"epsilon": (-1, 0, 2)}, _by_class(_at(-1.0), _at(0.0), _at(2.0))),
    "background apart": ({"epsilon": 1, "epsilon_background": -1}, _split(_at(1.0), _at(-1.0))),
    "background apart per class": (
        {"epsilon": 1, "epsilon_background": (-1, 0, 1)},
        _split(_at(1.0), _by_class(_at(-1.0), _at(0.0), _at(1.0))),
    ),
    "positives": ({"epsilon": 2, "applies_to": "positives"}, _split(_at(2.0), _at(0.0))),
    "background": ({"epsilon": 2, "applies_to": "background"}, _split(_at(0.0), _at(2.0))),
    "Poly-N": (
        {"epsilons": (1, -0.5, 3)},
        losses.gaussian_poly_n_focal(LOGITS, HEATMAP, epsilons=(1.0, -0.5, 3.0)),
    ),
    "Poly-N on positives": (
        {"epsilons": (1, -0.5), "applies_to": "positives"},
        _split(losses.gaussian_poly_n_focal(LOGITS, HEATMAP, epsilons=(1.0, -0.5)), _at(0.0)),
    ),
    "Drop-N": ({"num_terms": 2}, losses.gaussian_drop_n_focal(LOGITS, HEATMAP, num_terms=2)),
    "linear, half way": ({"epsilon": 2, "schedule": "linear", "progress": 0.5}, _at(1.0)),
    "linear, to a fifth": ({"epsilon": 2, "schedule": "linear", "schedule_until": 0.2, "progress": 0.5}, _at(2.0)),
    "cosine, a third": ({"epsilon": -1, "schedule": "cosine", "progress": 1 / 3}, _at(-0.25)),
    "gamma + 1": ({"alpha": 3}, _at(0.0, alpha=3.0)),
    "background weight": ({"epsilon": 1, "background_weight": 0.6}, _split(_at(1.0), 0.6 * _at(1.0))),
    "total weight is the criterion's": ({"weight": 1.6}, _at(0.0)),
    "below -1, where that is allowed": ({"epsilon": -2, "allow_non_monotone": True}, _at(-2.0)),
}


@pytest.mark.parametrize(("settings", "wanted"), CASES.values(), ids=CASES.keys())
def test_heatmap_settings(settings: dict[str, Any], wanted: Tensor) -> None:
    torch.testing.assert_close(_configured(**settings), wanted)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"epsilon": -1.01}, r"epsilon = -1.01 is below -1: .* rise again as P_t nears 1.*allow_non_monotone"),
        ({"epsilon": (0, -3)}, "epsilon = -3 is below -1"),
        ({"epsilon_background": -2}, "epsilon_background = -2 is below -1"),
        ({"epsilons": (0, -0.6)}, r"epsilons\[1\] = -0.6 is below -1/2"),
        ({"epsilons": (1,), "epsilon": 1}, "epsilons takes the place of epsilon"),
        ({"num_terms": 3, "epsilon": 1}, "leave out epsilon"),
        ({"num_terms": 3, "epsilons": (1,)}, "leave out epsilons"),
        ({"epsilon_background": 1, "applies_to": "positives"}, "leave out one of them"),
        ({"epsilons": (0.1,) * 11}, "at most 10"),
        ({"num_terms": 0}, "num_terms"),
        ({"schedule": "step"}, "schedule"),
        ({"schedule_until": 0}, "schedule_until"),
        ({"epsilom": 1}, "epsilom"),
    ],
)
def test_refused_with_the_reason(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        HeatmapFocalConfig(**settings)


@pytest.mark.parametrize("name", ["epsilon", "epsilon_background"])
def test_one_number_per_class_needs_as_many_as_classes(name: str) -> None:
    with pytest.raises(ValidationError, match=f"classification.{name}: 2 numbers for 3 classes"):
        Config(classification=HeatmapFocalConfig(**{name: (1, 2)}))


def test_the_lower_limits_themselves_are_accepted() -> None:
    assert HeatmapFocalConfig(epsilons=(-1, -1 / 2, -1 / 3)).epsilons == (-1, -1 / 2, -1 / 3)


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_a_schedule_ends_at_the_value_it_was_given(schedule: str) -> None:
    cfg = PolyConfig(epsilon=-1, schedule=schedule, schedule_until=0.5)
    values = [resolve_epsilons(cfg, PEAK, class_dim=1, progress=share)[0] for share in (0.0, 0.25, 0.5, 1.0)]
    middle = {"constant": -1.0, "linear": -0.5, "cosine": pytest.approx(-0.5)}[schedule]
    assert values == [-1.0 if schedule == "constant" else 0.0, middle, -1.0, -1.0]
    assert schedule_factor(cfg, 7.0) == 1  # a run that goes on past its plan


class TestSigmoidHeads:
    """Anchor classification and RSN's segmentation use one class of settings."""

    target = LOGITS.permute(0, 2, 3, 1).abs() > 2
    logits = LOGITS.permute(0, 2, 3, 1)  # (..., K)

    def _configured(self, **settings: Any) -> Tensor:
        return losses.sigmoid_loss(self.logits, self.target, SigmoidFocalConfig(**settings))

    def test_default_is_the_balanced_focal_loss(self) -> None:
        wanted = losses.poly1_focal(self.logits, self.target, gamma=2.0, alpha=0.25, epsilon=0.0)
        torch.testing.assert_close(self._configured(), wanted)

    def test_epsilon_per_class_lies_along_the_last_dimension(self) -> None:
        epsilon = torch.tensor([-1.0, 0.0, 1.5])
        wanted = losses.poly1_focal(self.logits, self.target, gamma=2.0, alpha=0.25, epsilon=epsilon)
        torch.testing.assert_close(self._configured(epsilon=(-1, 0, 1.5)), wanted)

    def test_gamma_alpha_and_drop_n(self) -> None:
        wanted = losses.drop_n_focal(self.logits, self.target, gamma=0.0, num_terms=4)
        torch.testing.assert_close(self._configured(gamma=0, alpha=None, num_terms=4), wanted)

    def test_unbalanced_epsilon_is_the_named_control(self) -> None:
        wanted = losses.poly1_focal_unweighted(self.logits, self.target, gamma=2.0, alpha=0.25, epsilon=-0.4)
        torch.testing.assert_close(self._configured(epsilon=-0.4, balance_epsilon=False), wanted)

    def test_integer_targets_are_hard_too(self) -> None:
        by_bool = losses.sigmoid_loss(self.logits, self.target, SigmoidFocalConfig(epsilon=1))
        by_int = losses.sigmoid_loss(self.logits, self.target.int(), SigmoidFocalConfig(epsilon=1))
        assert torch.equal(by_bool, by_int)

    @pytest.mark.parametrize("settings", [{"alpha": None}, {"alpha": 1}, {"epsilons": (1, 2)}, {"num_terms": 2}])
    def test_the_control_needs_a_balance_and_one_epsilon(self, settings: dict[str, Any]) -> None:
        with pytest.raises(ValidationError, match="balance_epsilon: false needs"):
            SigmoidFocalConfig(balance_epsilon=False, **settings)
