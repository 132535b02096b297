"""CenterCriterion against sums written out with loops."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from shapely import affinity, geometry
from torch import Tensor

from pcdet_poly import losses
from pcdet_poly.config.sections.losses import CenterBoxLossConfig, HeatmapFocalConfig
from pcdet_poly.structures import CenterMaps, CenterTargets, Grid
from tests.tolerances import FLOAT32_CANCELLED, FLOAT32_SUM

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
    cfg = HeatmapFocalConfig(epsilon=-0.4, weight=1.6, normalizer=normalizer)
    maps, targets = _maps(), _targets()
    parts = losses.CenterCriterion(cfg, CenterBoxLossConfig(), GRID)(maps, targets).parts
    wanted = losses.gaussian_poly1_focal(maps.heatmap, targets.heatmap, epsilon=-0.4).sum()
    torch.testing.assert_close(parts["heatmap"], 1.6 * wanted / count)


def test_box_loss_is_the_mean_weighted_distance_at_the_cells() -> None:
    weights = (1.0, 1.0, 0.5, 2.0, 2.0, 2.0, 0.0, 3.0)
    maps, targets = _maps(), _targets()
    regression = CenterBoxLossConfig(weight=0.7, code_weights=weights)
    criterion = losses.CenterCriterion(HeatmapFocalConfig(), regression, GRID)
    wanted = 0.0
    for frame, cell, code in zip(targets.frame, targets.cell, targets.code, strict=True):
        y, x = divmod(int(cell), SIZE)
        for k, weight in enumerate(weights):
            wanted += weight * abs(maps.box_code()[frame, k, y, x].item() - code[k].item())
    assert criterion(maps, targets).parts["box"].item() == pytest.approx(0.7 * wanted / 3, rel=FLOAT32_SUM)


def test_a_batch_without_objects_has_background_loss_only_and_a_gradient_everywhere() -> None:
    maps = _maps()
    result = losses.CenterCriterion(HeatmapFocalConfig(epsilon=-1), CenterBoxLossConfig(), GRID)(maps, _nothing())
    assert result.parts["heatmap"] > 0
    assert result.parts["box"] == 0
    result.total.backward()
    for field in dataclasses.fields(maps):
        branch = getattr(maps, field.name)
        assert branch is None or branch.grad is not None  # a missing one would stop DDP


def test_progress_moves_epsilon_along_its_schedule() -> None:
    cfg = HeatmapFocalConfig(epsilon=2, schedule="linear")
    criterion = losses.CenterCriterion(cfg, CenterBoxLossConfig(), GRID)
    maps, targets = _maps(), _targets()
    values = [criterion(maps, targets, progress=share).parts["heatmap"].item() for share in (0.0, 0.5, 1.0)]
    plain = (
        losses.CenterCriterion(HeatmapFocalConfig(), CenterBoxLossConfig(), GRID)(maps, targets).parts["heatmap"].item()
    )
    assert values[0] == plain
    assert values[1] - values[0] == pytest.approx(values[2] - values[1], rel=FLOAT32_CANCELLED)


def test_half_precision_maps_give_a_float32_loss() -> None:
    maps = _maps()
    branches = ("heatmap", "offset", "z", "size", "heading")
    half = CenterMaps(**{name: getattr(maps, name).bfloat16() for name in branches})
    parts = losses.CenterCriterion(HeatmapFocalConfig(epsilon=1), CenterBoxLossConfig(), GRID)(half, _targets()).parts
    assert {loss.dtype for loss in parts.values()} == {torch.float32}


def test_l1_has_slope_one_and_none_at_equality() -> None:
    prediction = torch.tensor([-2.0, 0.0, 5.0], requires_grad=True)
    loss = losses.l1(prediction, torch.zeros(3))
    assert loss.tolist() == [2, 0, 5]
    assert torch.autograd.grad(loss.sum(), prediction)[0].tolist() == [-1, 0, 1]
    assert losses.l1(prediction.half(), torch.zeros(3).half()).dtype == torch.float32


def test_at_cells_reads_the_cell_of_each_frame() -> None:
    maps = torch.arange(2 * 4 * 3 * 5).reshape(2, 4, 3, 5)
    values = losses.gather_cells(maps, torch.tensor([1, 0]), torch.tensor([2 * 5 + 4, 0]))
    assert torch.equal(values, torch.stack([maps[1, :, 2, 4], maps[0, :, 0, 0]]))


def _overlap_3d(a: list[float], b: list[float]) -> float:
    """IoU of two boxes: footprints by shapely, times the shared height."""

    def footprint(box: list[float]) -> geometry.Polygon:
        x, y, _, length, width, _, heading = box
        plain = geometry.box(x - length / 2, y - width / 2, x + length / 2, y + width / 2)
        return affinity.rotate(plain, heading, origin=(x, y), use_radians=True)

    height = min(a[2] + a[5] / 2, b[2] + b[5] / 2) - max(a[2] - a[5] / 2, b[2] - b[5] / 2)
    shared = footprint(a).intersection(footprint(b)).area * max(height, 0)
    return shared / (math.prod(a[3:6]) + math.prod(b[3:6]) - shared)


def _box(code: list[float], cell: int) -> list[float]:
    row, column = divmod(cell, SIZE)
    centre = [-1.5 + 0.5 * (column + code[0]), -1.5 + 0.5 * (row + code[1])]
    return [*centre, code[2], *map(math.exp, code[3:6]), math.atan2(code[6], code[7])]


def test_iou_branch_learns_the_overlap_of_the_boxes_and_leaves_them_alone() -> None:
    targets = _targets()
    maps = dataclasses.replace(_near(targets), velocity=None)
    criterion = losses.CenterCriterion(HeatmapFocalConfig(), CenterBoxLossConfig(weight_iou=0.3), GRID)
    loss = criterion(maps, targets).parts["iou"]
    wanted, overlaps = 0.0, []
    for frame, cell, code in zip(targets.frame, targets.cell.tolist(), targets.code.tolist(), strict=True):
        y, x = divmod(cell, SIZE)
        found = _box(maps.box_code()[frame, :, y, x].tolist(), cell)
        overlaps.append(_overlap_3d(found, _box(code, cell)))
        wanted += abs(maps.iou[frame, 0, y, x].item() - (2 * overlaps[-1] - 1))
    assert min(overlaps) < 0.5 < max(overlaps) < 0.999
    assert loss.item() == pytest.approx(0.3 * wanted / 3, rel=FLOAT32_CANCELLED)
    loss.backward()
    assert maps.iou.grad.count_nonzero() == 2  # two cells hold the three objects
    assert maps.size.grad is None or maps.size.grad.count_nonzero() == 0


def _near(targets: CenterTargets) -> CenterMaps:
    """Maps whose boxes at the objects' cells are almost right, with IoU and velocity branches."""
    generator = torch.Generator().manual_seed(3)
    code = torch.randn(2, 8, SIZE * SIZE, generator=generator)
    code[targets.frame, :, targets.cell] = targets.code + 0.1 * torch.randn(3, 8, generator=generator)
    branches = [part.clone().requires_grad_() for part in code.view(2, 8, SIZE, SIZE).split([2, 1, 3, 2], dim=1)]
    iou, velocity = (torch.randn(2, n, SIZE, SIZE, generator=generator).requires_grad_() for n in (1, 2))
    return CenterMaps(_maps().heatmap, *branches, iou=iou, velocity=velocity)


def test_velocity_loss_is_the_mean_over_objects_with_a_known_one() -> None:
    targets = dataclasses.replace(_targets(), velocity=torch.tensor([[1.0, -2.0], [torch.nan, torch.nan], [0.5, 3.0]]))
    maps = _near(targets)
    criterion = losses.CenterCriterion(HeatmapFocalConfig(), CenterBoxLossConfig(weight_velocity=0.7), GRID)
    loss = criterion(maps, targets).parts["velocity"]
    at = [maps.velocity[frame, :, cell // SIZE, cell % SIZE] for frame, cell in ((0, 2 * SIZE + 3), (1, 5 * SIZE + 5))]
    wanted = sum((said - right).abs().sum() for said, right in zip(at, targets.velocity[[0, 2]], strict=True))
    torch.testing.assert_close(loss, 0.7 * wanted / 2)
    loss.backward()
    assert maps.velocity.grad.isfinite().all()
    assert maps.velocity.grad.count_nonzero() == 4


def test_without_known_velocities_there_is_no_loss_but_a_gradient_everywhere() -> None:
    targets = dataclasses.replace(_targets(), velocity=torch.full((3, 2), torch.nan))
    maps = _near(targets)
    loss = losses.CenterCriterion(HeatmapFocalConfig(), CenterBoxLossConfig(), GRID)(maps, targets).parts["velocity"]
    loss.backward()
    assert loss == 0
    assert maps.velocity.grad.count_nonzero() == 0


@pytest.mark.parametrize("num_bins", [2, 5, 12])
def test_heading_bins_have_cross_entropy_and_a_residual_of_the_right_one(num_bins: int) -> None:
    weights = (1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.6, 1.7)
    maps, targets = _maps(), _targets()
    heading = torch.randn(2, 2 * num_bins, SIZE, SIZE, generator=torch.Generator().manual_seed(9))
    maps = dataclasses.replace(maps, heading=heading)
    criterion = losses.CenterCriterion(HeatmapFocalConfig(), CenterBoxLossConfig(weight=1, code_weights=weights), GRID)
    wanted = 0.0
    for frame, cell, code in zip(targets.frame, targets.cell, targets.code, strict=True):
        y, x = divmod(int(cell), SIZE)
        place = math.atan2(code[6], code[7]) / (2 * math.pi) * num_bins
        sector = round(place) % num_bins
        logit, residual = heading[frame, :, y, x].tolist()[:num_bins], heading[frame, :, y, x].tolist()[num_bins:]
        wanted += 0.6 * (math.log(sum(map(math.exp, logit))) - logit[sector])
        wanted += 1.7 * abs(residual[sector] - (place - round(place)))
        wanted += abs(maps.offset[frame, 0, y, x].item() - code[0].item())
    assert criterion(maps, targets).parts["box"].item() == pytest.approx(wanted / 3, rel=FLOAT32_SUM)


def test_every_branch_of_a_batch_without_objects_has_a_gradient() -> None:
    nothing = dataclasses.replace(_nothing(), velocity=torch.zeros(0, 2))
    maps = dataclasses.replace(_near(_targets()), heading=torch.randn(2, 24, SIZE, SIZE).requires_grad_())
    result = losses.CenterCriterion(HeatmapFocalConfig(), CenterBoxLossConfig(), GRID)(maps, nothing)
    assert {name for name, loss in result.parts.items() if loss == 0} == {"box", "iou", "velocity"}
    result.total.backward()
    outputs = [getattr(maps, field.name) for field in dataclasses.fields(maps) if field.name != "group_of_class"]
    assert all(output.grad is not None for output in outputs)


@pytest.mark.parametrize("normalizer", ["objects", "peaks"])
def test_counts_are_what_each_loss_is_a_mean_over(normalizer: str) -> None:
    """Two batches, weighed by their counts, give the loss of one batch with all frames."""
    cfg, maps, both = HeatmapFocalConfig(normalizer=normalizer), _maps(), _targets()
    criterion = losses.CenterCriterion(cfg, CenterBoxLossConfig(), GRID)
    counts, parts = [], []
    for frame in range(2):
        rows = both.frame == frame
        one = CenterTargets(
            both.heatmap[frame : frame + 1], both.frame[rows] * 0, both.cell[rows], both.label[rows], both.code[rows]
        )
        names = ("heatmap", "offset", "z", "size", "heading")
        own = CenterMaps(**{name: getattr(maps, name)[frame : frame + 1] for name in names})
        counts.append(criterion.count_normalizers(one))
        parts.append(criterion(own, one).parts)
    for name, loss in criterion(maps, both).parts.items():
        total = sum(count[name] for count in counts)
        assert (
            total == criterion.count_normalizers(both)[name] == (2 if (name, normalizer) == ("heatmap", "peaks") else 3)
        )
        mean = sum(part[name] * count[name] for part, count in zip(parts, counts, strict=True)) / total
        torch.testing.assert_close(mean, loss)
