"""CenterCriterion against sums written out with loops."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from pcdet_poly import losses
from pcdet_poly.config.losses import ClassificationConfig, RegressionConfig
from pcdet_poly.structures import CenterMaps, CenterTargets, Grid

SIZE = 6
GRID = Grid((-1.5, -1.5, -2.0), (1.5, 1.5, 4.0), (0.5, 0.5, 6.0))


def _maps(seed: int = 0) -> CenterMaps:
    generator = torch.Generator().manual_seed(seed)

    def branch(channels: int) -> Tensor:
        return torch.randn(2, channels, SIZE, SIZE, generator=generator).requires_grad_()

    return CenterMaps(heatmap=branch(3), offset=branch(2), z=branch(1), size=branch(3), heading=branch(2))


def _targets() -> CenterTargets:
    generator = torch.Generator().manual_seed(1)
    heatmap = torch.rand(2, 3, SIZE, SIZE, generator=generator) * 0.9
    heatmap[0, 1, 2, 3] = heatmap[1, 0, 5, 5] = 1  # two objects share the first cell
    return CenterTargets(
        heatmap=heatmap,
        frame=torch.tensor([0, 0, 1]),
        cell=torch.tensor([2 * SIZE + 3, 2 * SIZE + 3, 5 * SIZE + 5]),
        label=torch.tensor([1, 1, 0]),
        code=torch.randn(3, 8, generator=generator),
    )


def _nothing() -> CenterTargets:
    none = torch.zeros(0, dtype=torch.int64)
    return CenterTargets(torch.zeros(2, 3, SIZE, SIZE), none, none, none, torch.zeros(0, 8))


@pytest.mark.parametrize(("normalizer", "count"), [("objects", 3), ("peaks", 2)])
def test_heatmap_loss_is_divided_once(normalizer: str, count: int) -> None:
    cfg = ClassificationConfig(epsilon=-0.4, weight=1.6, normalizer=normalizer)
    maps, targets = _maps(), _targets()
    parts = losses.CenterCriterion(cfg, RegressionConfig(), GRID)(maps, targets).parts
    wanted = losses.gaussian_poly1_focal(maps.heatmap, targets.heatmap, epsilon=-0.4).sum()
    torch.testing.assert_close(parts["heatmap"], 1.6 * wanted / count)


def test_box_loss_is_the_mean_weighted_distance_at_the_cells() -> None:
    weights = (1.0, 1.0, 0.5, 2.0, 2.0, 2.0, 0.0, 3.0)
    maps, targets = _maps(), _targets()
    criterion = losses.CenterCriterion(ClassificationConfig(), RegressionConfig(weight=0.7, code_weights=weights), GRID)
    wanted = 0.0
    for frame, cell, code in zip(targets.frame, targets.cell, targets.code, strict=True):
        y, x = divmod(int(cell), SIZE)
        for k, weight in enumerate(weights):
            wanted += weight * abs(maps.box_code()[frame, k, y, x].item() - code[k].item())
    assert criterion(maps, targets).parts["box"].item() == pytest.approx(0.7 * wanted / 3, rel=1e-5)


def test_a_batch_without_objects_has_background_loss_only_and_a_gradient_everywhere() -> None:
    maps = _maps()
    result = losses.CenterCriterion(ClassificationConfig(epsilon=-1), RegressionConfig(), GRID)(maps, _nothing())
    assert result.parts["heatmap"] > 0
    assert result.parts["box"] == 0
    result.total.backward()
    for field in dataclasses.fields(maps):
        branch = getattr(maps, field.name)
        assert branch is None or branch.grad is not None  # a missing one would stop DDP


def test_progress_moves_epsilon_along_its_schedule() -> None:
    cfg = ClassificationConfig(epsilon=2, schedule="linear")
    criterion = losses.CenterCriterion(cfg, RegressionConfig(), GRID)
    maps, targets = _maps(), _targets()
    values = [criterion(maps, targets, progress=share).parts["heatmap"].item() for share in (0.0, 0.5, 1.0)]
    plain = (
        losses.CenterCriterion(ClassificationConfig(), RegressionConfig(), GRID)(maps, targets).parts["heatmap"].item()
    )
    assert values[0] == plain
    assert values[1] - values[0] == pytest.approx(values[2] - values[1], rel=1e-4)


def test_half_precision_maps_give_a_float32_loss() -> None:
    maps = _maps()
    branches = ("heatmap", "offset", "z", "size", "heading")
    half = CenterMaps(**{name: getattr(maps, name).bfloat16() for name in branches})
    parts = losses.CenterCriterion(ClassificationConfig(epsilon=1), RegressionConfig(), GRID)(half, _targets()).parts
    assert {loss.dtype for loss in parts.values()} == {torch.float32}


def test_l1_has_slope_one_and_none_at_equality() -> None:
    prediction = torch.tensor([-2.0, 0.0, 5.0], requires_grad=True)
    loss = losses.l1(prediction, torch.zeros(3))
    assert loss.tolist() == [2, 0, 5]
    assert torch.autograd.grad(loss.sum(), prediction)[0].tolist() == [-1, 0, 1]
    assert losses.l1(prediction.half(), torch.zeros(3).half()).dtype == torch.float32


def test_at_cells_reads_the_cell_of_each_frame() -> None:
    maps = torch.arange(2 * 4 * 3 * 5).reshape(2, 4, 3, 5)
    values = losses.at_cells(maps, torch.tensor([1, 0]), torch.tensor([2 * 5 + 4, 0]))
    assert torch.equal(values, torch.stack([maps[1, :, 2, 4], maps[0, :, 0, 0]]))
