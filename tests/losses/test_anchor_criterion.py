"""AnchorCriterion against sums over anchors written out in Python floats."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import Tensor

from pcdet_poly import losses
from pcdet_poly.config.sections.losses import SigmoidFocalConfig
from pcdet_poly.config.sections.pointpillars import PointPillarsConfig
from pcdet_poly.structures import AnchorMaps, AnchorTargets
from tests.tolerances import FLOAT32_BELOW_16, FLOAT32_SUM

NUM_FRAMES, NUM_ANCHORS, NUM_CLASSES = 3, 20, 2


def _maps(seed: int = 0) -> AnchorMaps:
    generator = torch.Generator().manual_seed(seed)

    def output(channels: int) -> Tensor:
        return (torch.randn(NUM_FRAMES, NUM_ANCHORS, channels, generator=generator) * 2).requires_grad_()

    return AnchorMaps(logit=output(NUM_CLASSES), code=output(7), direction=output(2))


def _targets() -> AnchorTargets:
    """Three positives in frame 0, none in frame 1, one in frame 2; some anchors left out."""
    generator = torch.Generator().manual_seed(1)
    frame, anchor = torch.tensor([0, 0, 0, 2]), torch.tensor([3, 4, 17, 0])
    background = torch.rand(NUM_FRAMES, NUM_ANCHORS, generator=generator) > 0.2
    background[frame, anchor] = False
    code = torch.randn(4, 7, generator=generator)
    return AnchorTargets(background, frame, anchor, torch.tensor([1, 0, 1, 0]), code, torch.tensor([0, 1, 1, 0]))


def _nothing() -> AnchorTargets:
    none = torch.zeros(0, dtype=torch.int64)
    everything = torch.ones(NUM_FRAMES, NUM_ANCHORS, dtype=torch.bool)
    return AnchorTargets(everything, none, none, none, torch.zeros(0, 7), none)


def _poly1_focal(x: float, right: bool, alpha: float, gamma: float, epsilon: float) -> float:
    p = 1 / (1 + math.exp(-x))
    p_t, weight = (p, alpha) if right else (1 - p, 1 - alpha)
    return weight * (1 - p_t) ** gamma * (-math.log(p_t) + epsilon * (1 - p_t))


def _expected(maps: AnchorMaps, targets: AnchorTargets, epsilon: float) -> dict[str, float]:
    """Unweighted, as OpenPCDet defines them: per frame divided by its positives, then averaged over frames."""
    positives = {(int(b), int(n)): i for i, (b, n) in enumerate(zip(targets.frame, targets.anchor, strict=True))}
    total = {"class": 0.0, "box": 0.0, "direction": 0.0}
    for b in range(NUM_FRAMES):
        count = max(sum(frame == b for frame, _ in positives), 1)
        for n in range(NUM_ANCHORS):
            i = positives.get((b, n))
            if i is None and not targets.background[b, n]:
                continue
            for k in range(NUM_CLASSES):
                right = i is not None and int(targets.label[i]) == k
                total["class"] += _poly1_focal(maps.logit[b, n, k].item(), right, 0.25, 2, epsilon) / count
            if i is None:
                continue
            found, wanted = maps.code[b, n].tolist(), targets.code[i].tolist()
            differences = [p - t for p, t in zip(found[:6], wanted[:6], strict=True)]
            differences += [math.sin(found[6]) * math.cos(wanted[6]) - math.cos(found[6]) * math.sin(wanted[6])]
            for d in map(abs, differences):
                total["box"] += (4.5 * d * d if d < 1 / 9 else d - 1 / 18) / count
            logits = maps.direction[b, n].tolist()
            chosen = logits[int(targets.direction[i])]
            total["direction"] += (math.log(sum(math.exp(x) for x in logits)) - chosen) / count
    return {name: value / NUM_FRAMES for name, value in total.items()}


@pytest.mark.parametrize("epsilon", [0.0, -1.0, 0.7])
def test_equals_sums_over_anchors(epsilon: float) -> None:
    maps, targets = _maps(), _targets()
    criterion = losses.AnchorCriterion(SigmoidFocalConfig(epsilon=epsilon, weight=1.5), PointPillarsConfig())
    parts = criterion(maps, targets).parts
    expected = _expected(maps, targets, epsilon)
    assert parts["class"].item() == pytest.approx(1.5 * expected["class"], rel=FLOAT32_SUM)
    assert parts["box"].item() == pytest.approx(2 * expected["box"], rel=FLOAT32_SUM)
    assert parts["direction"].item() == pytest.approx(0.2 * expected["direction"], rel=FLOAT32_SUM)


def test_a_batch_is_the_mean_of_its_frames() -> None:
    """So that two processes with half of the frames each average to the same."""
    maps, targets = _maps(), _targets()
    criterion = losses.AnchorCriterion(SigmoidFocalConfig(epsilon=1), PointPillarsConfig())
    together = criterion(maps, targets).total
    alone = []
    for b in range(NUM_FRAMES):
        mine = targets.frame == b
        one = AnchorMaps(maps.logit[b : b + 1], maps.code[b : b + 1], maps.direction[b : b + 1])
        rows = [getattr(targets, name)[mine] for name in ("anchor", "label", "code", "direction")]
        alone.append(criterion(one, AnchorTargets(targets.background[b : b + 1], targets.frame[mine] * 0, *rows)).total)
    torch.testing.assert_close(together, torch.stack(alone).mean())


def test_weights_of_codes_and_losses() -> None:
    maps, targets = _maps(), _targets()
    cfg = PointPillarsConfig(code_weights=(0, 0, 3, 0, 0, 0, 0), box_weight=0.5, direction_weight=0)
    parts = losses.AnchorCriterion(SigmoidFocalConfig(), cfg)(maps, targets).parts
    height = (maps.code[targets.frame, targets.anchor, 2] - targets.code[:, 2]) * 3
    per_object = losses.smooth_l1(height, beta=1 / 9)
    torch.testing.assert_close(parts["box"], 0.5 * (per_object[:3].mean() + per_object[3]) / NUM_FRAMES)
    assert parts["direction"] == 0


def test_half_turns_cost_nothing() -> None:
    code = torch.randn(4, 7, generator=torch.Generator().manual_seed(0))
    turned = code + torch.tensor([0, 0, 0, 0, 0, 0, math.pi])
    assert losses.residual_difference(turned, code).abs().max() < FLOAT32_BELOW_16
    quarter = losses.residual_difference(code + torch.tensor([0, 0, 0, 0, 0, 0, math.pi / 2]), code)
    torch.testing.assert_close(quarter[:, 6], torch.ones(4))


def test_a_batch_without_objects_has_background_loss_only_and_a_gradient_everywhere() -> None:
    maps = _maps()
    result = losses.AnchorCriterion(SigmoidFocalConfig(epsilon=-1), PointPillarsConfig())(maps, _nothing())
    assert result.parts["class"] > 0
    assert result.parts["box"] == result.parts["direction"] == 0
    result.total.backward()
    for field in dataclasses.fields(maps):
        assert getattr(maps, field.name).grad is not None, field.name  # a missing one would stop DDP


def test_anchors_left_out_have_no_gradient() -> None:
    maps, targets = _maps(), _targets()
    losses.AnchorCriterion(SigmoidFocalConfig(), PointPillarsConfig())(maps, targets).total.backward()
    left_out = ~targets.background
    left_out[targets.frame, targets.anchor] = False
    assert left_out.any()
    assert maps.logit.grad[left_out].abs().max() == 0
    assert maps.logit.grad[~left_out].abs().min() > 0


def test_progress_and_numbers_per_class_reach_the_loss() -> None:
    maps, targets = _maps(), _targets()

    def value(progress: float = 1.0, **settings: object) -> float:
        criterion = losses.AnchorCriterion(SigmoidFocalConfig(**settings), PointPillarsConfig())
        return criterion(maps, targets, progress=progress).parts["class"].item()

    plain = value()
    assert value(0.0, epsilon=2, schedule="linear") == plain
    assert value(0.5, epsilon=2, schedule="linear") == pytest.approx((plain + value(epsilon=2)) / 2, rel=FLOAT32_SUM)
    per_class = value(epsilon=(1, 0)) + value(epsilon=(0, 1)) - plain
    assert per_class == pytest.approx(value(epsilon=1), rel=FLOAT32_SUM)


def test_half_precision_maps_give_a_float32_loss() -> None:
    maps = _maps()
    half = AnchorMaps(maps.logit.bfloat16(), maps.code.bfloat16(), maps.direction.bfloat16())
    parts = losses.AnchorCriterion(SigmoidFocalConfig(epsilon=1), PointPillarsConfig())(half, _targets()).parts
    assert {loss.dtype for loss in parts.values()} == {torch.float32}


@pytest.mark.parametrize("beta", [1 / 9, 1.0, 3.0])
def test_smooth_l1_is_torchs(beta: float) -> None:
    x = torch.linspace(-4, 4, 81, dtype=torch.float64, requires_grad=True)
    reference = torch.nn.functional.smooth_l1_loss(x, torch.zeros_like(x), reduction="none", beta=beta)
    torch.testing.assert_close(losses.smooth_l1(x, beta=beta), reference)
    assert torch.autograd.gradcheck(lambda value: losses.smooth_l1(value, beta=beta), x)
    assert losses.smooth_l1(torch.ones(2).half(), beta=beta).dtype == torch.float32
