"""Losses of the size of the plain loss: sums of gradients on the logits, for both kinds of classification losses."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from pcdet_poly.config.sections.losses import HeatmapFocalConfig, PolyConfig, SigmoidFocalConfig
from pcdet_poly.losses.classification import heatmap_loss, sigmoid_loss
from pcdet_poly.losses.gradient_match import DECAY, MatchedLoss, build_plain_settings, match_gradient
from tests.tolerances import FLOAT32_SUM

ARMS: list[dict[str, Any]] = [
    {"epsilon": 2.0},
    {"epsilon": -1.0},
    {"epsilon": 1.0, "epsilon_background": -0.4},
    {"epsilons": (0.5, 0.2)},
    {"num_terms": 1},
    {"background_weight": 0.6},
]


def make_heatmap() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    heatmap = torch.rand(2, 3, 8, 8) * 0.9
    heatmap[:, :, 2, 3] = 1
    return torch.randn(2, 3, 8, 8) - 2, heatmap


def sum_slopes(loss: Tensor, logits: Tensor, part: Tensor) -> float:
    (slope,) = torch.autograd.grad(loss.sum(), logits, retain_graph=True)
    return float((slope.abs() * part).sum())


@pytest.mark.parametrize("settings", ARMS, ids=str)
@pytest.mark.parametrize("match", ["start", "step"])
def test_the_summed_gradient_is_the_plain_one(settings: dict[str, Any], match: str) -> None:
    """Sums of 400 float32 numbers of one sign: 1e-5."""
    logits, heatmap = make_heatmap()
    logits.requires_grad_()
    cfg = HeatmapFocalConfig(match=match, **settings)
    matched = match_gradient(heatmap_loss, cfg)(logits, heatmap, cfg, progress=1.0)
    plain = heatmap_loss(logits, heatmap, HeatmapFocalConfig())
    everything = torch.ones_like(heatmap)
    assert sum_slopes(matched, logits, everything) == pytest.approx(
        sum_slopes(plain, logits, everything), rel=FLOAT32_SUM
    )


def test_peaks_and_background_can_be_matched_apart() -> None:
    logits, heatmap = make_heatmap()
    logits.requires_grad_()
    plain = heatmap_loss(logits, heatmap, HeatmapFocalConfig())
    for apart in (False, True):
        cfg = HeatmapFocalConfig(epsilon=2.0, match="step", match_apart=apart)
        matched = MatchedLoss(heatmap_loss, cfg)(logits, heatmap, cfg, progress=1.0)
        sizes = [[sum_slopes(loss, logits, part) for part in (heatmap == 1, heatmap < 1)] for loss in (matched, plain)]
        assert (sizes[0] == pytest.approx(sizes[1], rel=FLOAT32_SUM)) is apart


def test_anchors_that_do_not_count_are_not_measured() -> None:
    torch.manual_seed(0)
    logits, right = torch.randn(2, 50, 3, requires_grad=True), torch.rand(2, 50, 3) < 0.1
    counted = torch.rand(2, 50, 1) < 0.5
    cfg = SigmoidFocalConfig(epsilon=2.0, match="step")
    matched = MatchedLoss(sigmoid_loss, cfg)(logits, right, cfg, progress=1.0, counted=counted)
    plain = sigmoid_loss(logits, right, SigmoidFocalConfig())
    part = counted.expand_as(right)
    assert sum_slopes(matched, logits, part) == pytest.approx(sum_slopes(plain, logits, part), rel=FLOAT32_SUM)
    assert sum_slopes(matched, logits, ~part) != pytest.approx(sum_slopes(plain, logits, ~part), rel=0.01)


def test_a_larger_exponent_is_matched_to_the_usual_one() -> None:
    logits, heatmap = make_heatmap()
    logits.requires_grad_()
    cfg = HeatmapFocalConfig(alpha=3, match="step", plain_exponent=2)
    matched = MatchedLoss(heatmap_loss, cfg)(logits, heatmap, cfg, progress=1.0)
    plain = heatmap_loss(logits, heatmap, HeatmapFocalConfig())
    part = torch.ones_like(heatmap)
    assert sum_slopes(matched, logits, part) == pytest.approx(sum_slopes(plain, logits, part), rel=FLOAT32_SUM)


def test_a_running_ratio_forgets_and_a_first_one_does_not() -> None:
    logits, heatmap = make_heatmap()
    for match in ("start", "step"):
        cfg = HeatmapFocalConfig(epsilon=2.0, match=match)
        loss = MatchedLoss(heatmap_loss, cfg)
        loss(logits, heatmap, cfg, progress=0.0)
        assert loss.sums is not None
        first = loss.sums.clone()
        loss(logits + 3, heatmap, cfg, progress=0.5)
        alone = MatchedLoss(heatmap_loss, cfg)
        alone(logits + 3, heatmap, cfg, progress=0.5)
        assert alone.sums is not None
        expected = first if match == "start" else DECAY * first + (1 - DECAY) * alone.sums
        assert torch.allclose(loss.sums, expected)
        again = MatchedLoss(heatmap_loss, cfg)
        again.load_state_dict(loss.state_dict(), torch.device("cpu"))
        assert again.describe_weights() == loss.describe_weights()


def test_the_gradient_of_a_matched_loss_does_not_flow_through_its_weight() -> None:
    logits, heatmap = make_heatmap()
    logits.requires_grad_()
    cfg = HeatmapFocalConfig(epsilon=2.0, match="step")
    loss = MatchedLoss(heatmap_loss, cfg)
    (slope,) = torch.autograd.grad(loss(logits, heatmap, cfg, progress=1.0).sum(), logits)
    (own,) = torch.autograd.grad(heatmap_loss(logits, heatmap, cfg).sum(), logits)
    assert torch.allclose(slope, own * loss.compute_weights()[0])


def test_without_a_gradient_the_weight_is_1() -> None:
    cfg = HeatmapFocalConfig(epsilon=2.0, match="step", match_apart=True)
    loss = MatchedLoss(heatmap_loss, cfg)
    loss(torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 2, 2), cfg, progress=1.0)  # no peak
    assert loss.describe_weights()["peaks"] == 1


def test_settings_say_when_they_do_nothing() -> None:
    assert match_gradient(heatmap_loss, HeatmapFocalConfig()) is heatmap_loss
    with pytest.raises(ValidationError, match="match_apart says how to match"):
        HeatmapFocalConfig(match_apart=True)
    with pytest.raises(ValidationError, match="plain_exponent says how to match"):
        SigmoidFocalConfig(plain_exponent=2)


@pytest.mark.parametrize("kind", [HeatmapFocalConfig, SigmoidFocalConfig])
def test_the_plain_loss_has_no_polynomial_and_no_weight(kind: type[PolyConfig]) -> None:
    plain = build_plain_settings(kind(epsilon=2.0, background_weight=0.5, match="start", schedule="linear"))
    usual = build_plain_settings(kind(match="start"))
    assert plain == usual
    assert plain.epsilon == 0
