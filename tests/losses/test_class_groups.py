"""Losses of a centre head with several groups of classes: the sum over the groups, each a mean over its own objects."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from pcdet_poly.config.sections.losses import CenterBoxLossConfig, HeatmapFocalConfig
from pcdet_poly.losses.center.criterion import CenterCriterion
from pcdet_poly.structures import CenterMaps, join_groups
from tests.losses.test_center_criterion import GRID, SIZE, _maps, _targets
from tests.tolerances import FLOAT32_BELOW_16, FLOAT32_CANCELLED, FLOAT32_SUM

GROUPS = (0, 1, 0)  # the groups of three classes: not neighbours


def two_groups() -> CenterMaps:
    first, second = _maps(2), _maps(3)
    with_velocity = [
        replace(
            maps,
            heatmap=maps.heatmap[:, classes],
            iou=torch.rand(2, 1, SIZE, SIZE),
            velocity=torch.rand(2, 2, SIZE, SIZE),
        )
        for maps, classes in ((first, [0, 2]), (second, [1]))
    ]
    return join_groups(with_velocity, GROUPS)


def test_groups_are_split_as_they_were_joined() -> None:
    maps = two_groups()
    assert maps.list_groups() == ((0, 2), (1,))
    assert maps.offset.shape == (2, 4, SIZE, SIZE)
    torch.testing.assert_close(maps.heatmap[:, 1:2], maps.split_groups()[1].heatmap, rtol=0, atol=0)
    again = join_groups(maps.split_groups(), GROUPS)
    for name in ("heatmap", "offset", "z", "size", "heading", "iou", "velocity"):
        assert torch.equal(getattr(again, name), getattr(maps, name)), name
    assert join_groups(_maps().split_groups(), None).group_of_class is None


@pytest.mark.parametrize("epsilon", [0.0, 1.5, (0.5, -0.3, 2.0)])
def test_a_loss_is_the_sum_of_the_groups_losses(epsilon: float | tuple[float, ...]) -> None:
    velocity = torch.tensor([[1.0, 0], [torch.nan, torch.nan], [0, 2]])
    maps, targets = two_groups(), replace(_targets(), velocity=velocity)
    regression = CenterBoxLossConfig(iou_regression="aligned")
    whole = CenterCriterion(HeatmapFocalConfig(epsilon=epsilon), regression, GRID)(maps, targets).parts
    sums: dict[str, Tensor] = {}
    for part, classes in zip(maps.split_groups(), maps.list_groups(), strict=True):
        own = epsilon if isinstance(epsilon, float) else tuple(epsilon[k] for k in classes)
        criterion = CenterCriterion(HeatmapFocalConfig(epsilon=own), regression, GRID)
        for name, loss in criterion(part, targets.select_classes(classes)).parts.items():
            sums[name] = sums.get(name, torch.tensor(0.0)) + loss
    assert whole.keys() == sums.keys() == {"heatmap", "box", "iou", "velocity", "iou_regression"}
    for name, loss in whole.items():
        torch.testing.assert_close(loss, sums[name], rtol=FLOAT32_SUM, atol=FLOAT32_BELOW_16)


def test_a_shared_peak_counts_once_or_for_each_object() -> None:
    """Two of the three objects are in one cell: its loss is in the sum once more."""
    maps, targets = _maps(), _targets()
    once, each = (
        CenterCriterion(HeatmapFocalConfig(epsilon=1.0, shared_peaks=count), CenterBoxLossConfig(), GRID)(maps, targets)
        for count in ("once", "per_object")
    )
    p = maps.heatmap[0, 1, 2, 3].sigmoid()
    shared = (1 - p) ** 2 * (-p.log() + (1 - p))
    torch.testing.assert_close(
        each.parts["heatmap"] - once.parts["heatmap"], shared / 3, rtol=FLOAT32_CANCELLED, atol=FLOAT32_BELOW_16
    )


def test_velocity_is_a_mean_over_known_ones_or_over_all_objects() -> None:
    maps = replace(_maps(), velocity=torch.ones(2, 2, SIZE, SIZE))
    targets = replace(_targets(), velocity=torch.tensor([[torch.nan, torch.nan], [2.0, 2], [torch.nan, torch.nan]]))
    known, every = (
        CenterCriterion(HeatmapFocalConfig(), CenterBoxLossConfig(weight_velocity=1, velocity_mean=mean), GRID)(
            maps, targets
        )
        for mean in ("known", "objects")
    )
    assert (float(known.parts["velocity"]), float(every.parts["velocity"])) == (2, pytest.approx(2 / 3))
