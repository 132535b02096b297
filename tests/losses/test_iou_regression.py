"""DIoU of boxes: values by another way of counting, gradients by differences, and what happens at ties."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pcdet_poly.config.sections.losses import CenterBoxLossConfig, HeatmapFocalConfig
from pcdet_poly.losses.center.criterion import CenterCriterion
from pcdet_poly.losses.center.iou_regression import aligned_diou, overlap_rectangle, place_corners, rotated_diou
from pcdet_poly.ops.iou import iou_3d_matched, iou_bev_matched
from tests.losses.test_center_criterion import GRID, _maps, _targets
from tests.tolerances import FLOAT32_BELOW_16, FLOAT64_CANCELLED, FLOAT64_SUM

KINDS = (aligned_diou, rotated_diou)


def pairs(count: int = 400) -> tuple[Tensor, Tensor]:
    """Boxes that are a little off their objects, in float64."""
    draw = torch.Generator().manual_seed(0)
    scale, lower = torch.tensor([20, 20, 2, 4, 2, 2, 2 * math.pi]), torch.tensor([-10, -10, 0, 0.3, 0.3, 0.5, -math.pi])
    target = torch.rand(count, 7, generator=draw) * scale + lower
    box = target + torch.randn(count, 7, generator=draw) * torch.tensor([0.5, 0.5, 0.3, 0.3, 0.2, 0.2, 0.5])
    box[:, 3:6] = box[:, 3:6].clamp(min=0.1)
    return box.double(), target.double()


def test_overlaps_are_those_of_the_exact_iou() -> None:
    """It is rounded to float32 once, and boxes to float32 before: 1e-6 is above eight roundings of numbers below 1."""
    box, target = pairs()
    box[:40, 6] = target[:40, 6]  # edges along each other
    box[40:80, 6] = target[40:80, 6] + math.pi / 2
    box[80:120] = target[80:120]
    area = overlap_rectangle(place_corners(box, target), target[:, 3:5] / 2)
    iou = area / (box[:, 3] * box[:, 4] + target[:, 3] * target[:, 4] - area)
    wanted = iou_bev_matched(box.float(), target.float())
    assert ((wanted > 0.01) & (wanted < 0.99)).sum() > 200
    torch.testing.assert_close(iou.float(), wanted, rtol=0, atol=FLOAT32_BELOW_16)


def test_without_headings_both_are_the_exact_iou_less_the_distance() -> None:
    box, target = pairs()
    box[:, 6] = target[:, 6] = 0
    low = torch.minimum(box[:, :3] - box[:, 3:6] / 2, target[:, :3] - target[:, 3:6] / 2)
    high = torch.maximum(box[:, :3] + box[:, 3:6] / 2, target[:, :3] + target[:, 3:6] / 2)
    distance = (box[:, :3] - target[:, :3]).square().sum(1) / (high - low).square().sum(1)
    wanted = iou_3d_matched(box.float(), target.float()) - distance
    for kind in KINDS:
        torch.testing.assert_close(kind(box, target), wanted, rtol=0, atol=FLOAT32_BELOW_16, check_dtype=False)


@pytest.mark.parametrize("kind", KINDS)
def test_equal_boxes_have_1_and_distant_ones_approach_minus_1(kind) -> None:
    _, target = pairs()
    torch.testing.assert_close(
        kind(target, target), torch.ones(400, dtype=torch.float64), rtol=FLOAT64_SUM, atol=FLOAT64_SUM
    )
    far = target + torch.tensor([1e4, 0, 0, 0, 0, 0, 0])
    assert ((kind(far, target) > -1) & (kind(far, target) < -0.99)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_differences_also_of_boxes_that_do_not_meet(kind) -> None:
    box, target = pairs(60)
    box[50:, 0] += 30
    # Differences over 2e-6 lose 1e-10 to rounding, and 1e-12 times a third derivative, of boxes of 0.1 m below 1e6.
    assert torch.autograd.gradcheck(lambda each: kind(each, target), (box.requires_grad_(),), eps=1e-6, atol=1e-5)
    (slope,) = torch.autograd.grad(kind(box, target).sum(), box)
    assert (slope[:, :6].abs().sum(1) > 0).all()
    assert bool((slope[:50, 6] != 0).all()) == (kind is rotated_diou)


def test_ties_have_finite_gradients() -> None:
    _, target = pairs()
    for turn in (0.0, math.pi / 2, math.pi):
        box = target.clone()
        box[:, 6] += turn
        (slope,) = torch.autograd.grad(rotated_diou(box.requires_grad_(), target).sum(), box)
        assert slope.isfinite().all()


def test_a_turned_pair_has_the_same_diou() -> None:
    box, target = pairs()
    turn = torch.tensor([[math.cos(1.0), -math.sin(1.0)], [math.sin(1.0), math.cos(1.0)]], dtype=torch.float64)
    turned = [torch.cat([each[:, :2] @ turn.T, each[:, 2:6], each[:, 6:] + 1], dim=1) for each in (box, target)]
    torch.testing.assert_close(
        rotated_diou(*turned), rotated_diou(box, target), rtol=FLOAT64_CANCELLED, atol=FLOAT64_CANCELLED
    )


def test_the_criterion_takes_its_weighted_mean() -> None:
    maps, targets = _maps(), _targets()
    settings = {
        kind: CenterBoxLossConfig(iou_regression=kind, weight_iou_regression=3) for kind in ("aligned", "rotated")
    }
    found = {k: CenterCriterion(HeatmapFocalConfig(), cfg, GRID)(maps, targets).parts for k, cfg in settings.items()}
    assert 0 < float(found["aligned"]["iou_regression"]) < 6
    assert found["aligned"]["iou_regression"] != found["rotated"]["iou_regression"]
    assert (
        "iou_regression" not in CenterCriterion(HeatmapFocalConfig(), CenterBoxLossConfig(), GRID)(maps, targets).parts
    )
