"""Scatter on every backend against loops and torch.amax, with gradients."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from pcdet_poly.ops.scatter import scatter_max, scatter_mean, take_rows, to_bev
from pcdet_poly.structures import Grid, Voxels


def segments(rng: np.random.Generator, device: str, *, num_channels: int) -> tuple[Tensor, Tensor, int]:
    """Values with many ties, (P, C); voxel of each point, some dropped; number of voxels, each with a point."""
    num_voxels = int(rng.integers(1, 9))
    voxel = np.concatenate([np.arange(num_voxels), rng.integers(-1, num_voxels, rng.integers(0, 40))])
    values = rng.integers(-3, 3, (len(voxel), num_channels)) + 0.1 * rng.integers(0, 2, (len(voxel), num_channels))
    order = rng.permutation(len(voxel))
    values = torch.from_numpy(values[order].astype(np.float32)).to(device)
    return values.requires_grad_(), torch.from_numpy(voxel[order]).to(device), num_voxels


def test_fuzz_max(device: str, num_trials: int) -> None:
    rng = np.random.default_rng(1)
    for _ in range(num_trials):
        values, voxel, num_voxels = segments(rng, device, num_channels=int(rng.integers(1, 6)))
        weights = torch.from_numpy(rng.normal(size=(num_voxels, values.shape[1])).astype(np.float32)).to(device)
        highest = scatter_max(values, voxel, num_voxels)
        (highest * weights).sum().backward()
        copy = values.detach().clone().requires_grad_()
        expected = torch.stack([copy[voxel == v].amax(0) for v in range(num_voxels)])
        (expected * weights).sum().backward()
        assert torch.equal(highest, expected)
        assert torch.equal(values.grad, copy.grad)  # torch.amax shares the gradient equally among ties


def test_fuzz_mean(device: str, num_trials: int) -> None:
    rng = np.random.default_rng(2)
    for _ in range(num_trials):
        values, voxel, num_voxels = segments(rng, device, num_channels=int(rng.integers(1, 6)))
        weights = torch.from_numpy(rng.normal(size=(num_voxels, values.shape[1])).astype(np.float32)).to(device)
        max_points = None if rng.random() < 0.5 else int(rng.integers(1, 5))
        mean = scatter_mean(values, voxel, num_voxels, max_points=max_points)
        (mean * weights).sum().backward()
        for v in range(num_voxels):
            first, beyond = np.split((voxel == v).nonzero()[:, 0].cpu().numpy(), [max_points or len(voxel)])
            mine = values.detach()[first].cpu().numpy()
            total = np.zeros(values.shape[1], np.float32)
            for row in mine:  # in the order of the points, float32
                total += row
            np.testing.assert_array_equal(mean[v].detach().cpu().numpy(), total / np.float32(len(mine)))
            torch.testing.assert_close(values.grad[first], (weights[v] / len(mine)).expand(len(mine), -1))
            assert not values.grad[beyond].any()
        assert not values.grad[voxel == -1].any()


def test_fuzz_rows(device: str, num_trials: int) -> None:
    rng = np.random.default_rng(3)
    for _ in range(num_trials):
        num_rows, num_taken, num_channels = rng.integers(1, 9), rng.integers(0, 40), rng.integers(1, 6)
        table, weights = (
            torch.from_numpy(rng.normal(size=(size, num_channels)).astype(np.float32)) for size in (num_rows, num_taken)
        )
        row = torch.from_numpy(rng.integers(0, num_rows, num_taken))
        values = table.to(device).requires_grad_()
        taken = take_rows(values, row.to(device))
        (taken * weights.to(device)).sum().backward()
        assert torch.equal(taken.cpu(), table[row])
        total = np.zeros(table.shape, np.float32)
        for r, weight in zip(row.tolist(), weights.numpy(), strict=True):  # in their order, float32
            total[r] += weight
        np.testing.assert_array_equal(values.grad.cpu().numpy(), total)


def test_rows_of_another_dtype_and_layout(device: str) -> None:
    table = torch.arange(12.0, device=device).view(3, 4).t().to(torch.bfloat16).requires_grad_()
    taken = take_rows(table, torch.tensor([3, 0, 3], device=device))
    taken.sum().backward()
    assert taken.dtype == table.grad.dtype == torch.bfloat16
    assert taken.tolist() == [[3, 7, 11], [0, 4, 8], [3, 7, 11]]
    assert table.grad.tolist() == [[1] * 3, [0] * 3, [0] * 3, [2] * 3]


@pytest.mark.parametrize("row", [-1, 3, 2**62])
def test_rows_that_are_not_there_are_refused(row: int) -> None:
    with pytest.raises(ValueError, match="no row of values"):
        take_rows(torch.zeros(3, 2), torch.tensor([0, row]))


def test_equal_gradients_on_ties(device: str) -> None:
    values = torch.tensor([[1.0], [2.0], [2.0], [2.0], [9.0]], device=device, requires_grad=True)
    scatter_max(values, torch.tensor([0, 0, 0, 0, -1], device=device), 1).backward(torch.tensor([[6.0]], device=device))
    assert values.grad.tolist() == [[0.0], [2.0], [2.0], [2.0], [0.0]]


def test_extremes(device: str) -> None:
    inf, nan = torch.inf, torch.nan
    values = torch.tensor([[nan, -inf, 3e38, -0.0], [1.0, -inf, inf, -1.0], [nan, nan, nan, nan]], device=device)
    highest = scatter_max(values, torch.tensor([0, 0, -1], device=device), 2)
    expected = torch.tensor([[nan, -inf, inf, 0.0], [-inf] * 4], device=device)
    torch.testing.assert_close(highest, expected, rtol=0, atol=0, equal_nan=True)
    mean = scatter_mean(values, torch.tensor([0, 0, -1], device=device), 2)
    expected = torch.tensor([[nan, -inf, inf, -0.5], [nan] * 4], device=device)
    torch.testing.assert_close(mean, expected, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_keeps_the_dtype(device: str, dtype: torch.dtype) -> None:
    values = torch.tensor([[1.0, 2.0], [3.0, -4.0]], dtype=dtype, device=device, requires_grad=True)
    voxel = torch.tensor([0, 0], device=device)
    highest, mean = scatter_max(values, voxel, 1), scatter_mean(values, voxel, 1)
    (highest.sum() + mean.sum()).backward()
    assert highest.dtype == mean.dtype == values.grad.dtype == dtype
    assert (highest.tolist(), mean.tolist()) == ([[3.0, 2.0]], [[2.0, -1.0]])


def test_nothing(device: str) -> None:
    for num_points, num_channels in ((0, 3), (2, 0)):
        values = torch.zeros(num_points, num_channels, device=device, requires_grad=True)
        voxel = torch.full((num_points,), -1, dtype=torch.int64, device=device)
        for scatter in (scatter_mean, scatter_max):
            result = scatter(values, voxel, 0)
            result.sum().backward()
            assert result.shape == (0, num_channels)
            assert values.grad.shape == values.shape


def test_a_mean_of_no_points_is_refused() -> None:
    with pytest.raises(ValueError, match="max_points = 0"):
        scatter_mean(torch.zeros(1, 1), torch.zeros(1, dtype=torch.int64), 1, max_points=0)


def test_many_points_in_one_voxel(device: str) -> None:
    """The long rows of a voxel next to the sensor: still the sum in the order of the points."""
    values = torch.rand(600, 70, generator=torch.Generator().manual_seed(0))
    voxel = torch.zeros(600, dtype=torch.int64)
    total = np.zeros(70, np.float32)
    for row in values.numpy():
        total += row
    mean = scatter_mean(values.to(device), voxel.to(device), 1)
    np.testing.assert_array_equal(mean.cpu().numpy()[0], total / np.float32(600))


@pytest.mark.parametrize("channels_last", [False, True])
def test_bev_image(channels_last: bool) -> None:
    grid = Grid((0.0, 0.0, 0.0), (3.0, 2.0, 1.0), (1.0, 1.0, 1.0))
    cell = torch.tensor([1, 5, 8 + 6 * 1])  # frame 0 (0, 1) and (1, 2); frame 2 (0, 2)
    voxels = Voxels(cell, torch.arange(3), torch.ones(3, dtype=torch.int64), grid, num_frames=3)
    features = torch.tensor([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]], requires_grad=True)
    image = to_bev(features, voxels, channels_last=channels_last)
    expected = torch.zeros(3, 2, 2, 3)
    expected[0, :, 0, 1], expected[0, :, 1, 2], expected[2, :, 0, 2] = features.detach()
    assert torch.equal(image, expected)
    assert image.is_contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)
    weights = torch.rand(image.shape)
    (image * weights).sum().backward()
    assert torch.equal(features.grad, torch.stack([weights[0, :, 0, 1], weights[0, :, 1, 2], weights[2, :, 0, 2]]))


def test_only_pillars_make_an_image() -> None:
    grid = Grid((0.0, 0.0, 0.0), (1.0, 1.0, 2.0), (1.0, 1.0, 1.0))
    none = torch.zeros(0, dtype=torch.int64)
    with pytest.raises(ValueError, match="2 layers"):
        to_bev(torch.zeros(0, 3), Voxels(none, none, none, grid, 1))


@pytest.mark.parametrize("scatter", [scatter_mean, scatter_max])
def test_voxels_whose_numbers_would_wrap_are_refused_before_memory_is_asked_for(scatter: Callable[..., object]) -> None:
    with pytest.raises(ValueError, match="num_voxels = 2147483648; at most 2147483647 are told apart"):
        scatter(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), 2**31)
