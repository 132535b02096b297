"""The pillar encoder's modes against layers over rows that are all there, in float64."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pcdet_poly.models.layers.pillar_encoder import PillarEncoder
from pcdet_poly.models.layers.voxel_means import average_points
from pcdet_poly.ops import pillars as ops
from pcdet_poly.ops.gpu import pillars as plain
from pcdet_poly.ops.voxelize import voxelize
from pcdet_poly.structures import Grid
from tests.tolerances import FLOAT32_SUM

GRID = Grid((-10.0, -8.0, -2.0), (10.0, 8.0, 4.0), (0.5, 0.5, 6.0))
CAP = 4


def draw_points(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Points crowded enough that some pillars have more than CAP, some one; a tenth above or below the grid."""
    rng = np.random.default_rng(seed)
    points = np.concatenate([rng.normal(0, 1, (count // 2, 5)), rng.uniform(-8, 8, (count - count // 2, 5))])
    points[:, 2] = rng.uniform(-2, 4, count)
    points[::10, 2] += rng.choice([-9, 9], len(points[::10]))
    order = rng.permutation(count)
    return torch.from_numpy(points[order].astype(np.float32)), torch.zeros(count, dtype=torch.int64)


def build_encoder(channels: tuple[int, ...], **settings: object) -> PillarEncoder:
    torch.manual_seed(0)
    encoder = PillarEncoder(5, channels, **settings)
    for module in encoder.modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
    return encoder


def encode_all_rows(encoder: PillarEncoder, points: Tensor, offsets: int) -> Tensor:
    """What the published hard encoders compute: CAP rows per pillar, zeros where there is no point. Float64."""
    voxels = voxelize(points, torch.zeros(len(points), dtype=torch.int64), GRID, 1)
    centre = ops.voxel_centres(voxels).double()
    rows = torch.zeros(len(voxels), CAP, 8 + offsets, dtype=torch.float64)
    for v in range(len(voxels)):
        inside = points[voxels.voxel_of_point == v][:CAP].double()
        xyz = inside[:, :3]
        rows[v, : len(inside)] = torch.cat([inside, xyz - xyz.mean(0), (xyz - centre[v])[:, :offsets]], dim=1)
    for depth, layer in enumerate(encoder.layers):
        linear = rows @ layer.linear.weight.T
        values = layer.norm(linear.flatten(0, 1)).view_as(linear).relu()
        highest = values.amax(1)
        rows = torch.cat([values, highest[:, None].expand_as(values)], dim=2)
        if depth == len(encoder.layers) - 1:
            return highest
    raise AssertionError


@pytest.mark.parametrize("back_end", ["own", "plain"])  # the CPU's kernels, and what other devices run
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(("channels", "offsets"), [((8,), 3), ((8, 6), 2), ((8, 8, 4), 3)])
def test_hard_pillars_equal_rows_that_are_all_there(channels, offsets, training, back_end, monkeypatch):
    if back_end == "plain":
        monkeypatch.setattr(ops, "find_back_end", lambda *_: plain)
    points, frame = draw_points(600, 1)
    encoder = build_encoder(channels, max_points=CAP, centre_offsets=offsets).train(training)
    reference = deepcopy(encoder).double()
    voxels = encoder.group_points(points, frame, GRID, 1)
    assert voxels.num_points.unique().tolist() == [1, 2, 3, 4]
    ours, theirs = encoder(points, voxels), encode_all_rows(reference, points, offsets)
    # Float32 against float64: rounding of 1e-7 in each of some ten steps, of numbers whose largest sets the scale.
    assert (ours - theirs).abs().max() <= 1e-5 * theirs.abs().max()
    for name, buffer in reference.named_buffers():
        torch.testing.assert_close(
            encoder.get_buffer(name).double(), buffer.double(), rtol=FLOAT32_SUM, atol=FLOAT32_SUM
        )
    given = torch.randn(theirs.shape, generator=torch.Generator().manual_seed(0))
    (ours * given).sum().backward()
    (theirs * given).sum().backward()
    for name, parameter in reference.named_parameters():
        gap = (encoder.get_parameter(name).grad - parameter.grad).abs().max()
        assert gap <= 1e-4 * parameter.grad.abs().max(), name


def test_gradients_of_hard_pillars_equal_finite_differences():
    points, frame = draw_points(60, 2)
    encoder = build_encoder((4, 4, 4), max_points=CAP).double().train()
    voxels = encoder.group_points(points, frame, GRID, 1)
    assert torch.autograd.gradcheck(lambda *_: encoder(points.double(), voxels), tuple(encoder.parameters()))


def test_any_height_changes_cells_of_no_point_within_and_takes_those_outside():
    points, frame = draw_points(600, 3)
    points[0, 2], points[1, 2], points[2, 2] = torch.nan, torch.inf, 1e20
    points[:3, :2] = 0.1
    encoder = build_encoder((8, 6), any_height=True).eval()
    voxels = encoder.group_points(points, frame, GRID, 1)
    within = voxelize(points, frame, GRID, 1)
    inside = within.voxel_of_point >= 0
    cells = within.cell[within.voxel_of_point[inside]]
    assert torch.equal(voxels.cell[voxels.voxel_of_point[inside]], cells)
    flat = points.clone()
    flat[:, 2] = torch.where(points[:, 2].isfinite(), 0.0, points[:, 2])
    assert torch.equal(voxels.voxel_of_point, voxelize(flat, frame, GRID, 1).voxel_of_point)
    assert len(voxels) > len(within)
    # Heights count from the middle of the grid's range, in which a cloud that lies within is encoded as ever.
    dynamic = build_encoder((8, 6)).eval()
    kept = points[inside]
    with torch.no_grad():
        ours = encoder(kept, encoder.group_points(kept, frame[inside], GRID, 1))
        assert torch.equal(ours, dynamic(kept, dynamic.group_points(kept, frame[inside], GRID, 1)))


def test_points_of_any_height_belong_to_pillars_alone():
    points, frame = draw_points(10, 4)
    with pytest.raises(ValueError, match="layers of cells"):
        voxelize(points, frame, Grid(GRID.lower, GRID.upper, (0.5, 0.5, 2.0)), 1, any_height=True)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("count", [0, 1])
def test_hard_pillars_of_few_points(count, training):
    points = torch.full((count, 5), 0.1)
    encoder = build_encoder((8, 8), max_points=CAP).train(training)
    features = encoder(points, encoder.group_points(points, torch.zeros(count, dtype=torch.int64), GRID, 2))
    assert features.shape == (count, 8)
    assert features.isfinite().all()
    features.sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in encoder.parameters())


def test_voxel_means_are_over_the_first_points():
    points, frame = draw_points(2000, 5)
    grid = Grid((-2.0, -2.0, -2.0), (2.0, 2.0, 4.0), (0.5, 0.5, 1.0))
    capped, voxels = average_points(points, frame, grid, 1, max_points=5), voxelize(points, frame, grid, 1)
    assert voxels.num_points.max() > 5
    expected = [points[voxels.voxel_of_point == v][:5].double().mean(0).tolist() for v in range(len(voxels))]
    np.testing.assert_allclose(capped.features, expected, atol=1e-5)  # float32 sums of five numbers below 8
