"""Voxelization on every backend against a dictionary of lists."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from pcdet_poly.ops.voxelize import voxelize
from pcdet_poly.structures import Grid, Voxels

PILLARS = Grid((-74.88, -74.88, -2.0), (74.88, 74.88, 4.0), (0.32, 0.32, 6.0))
FINE = Grid((-75.2, -75.2, -2.0), (75.2, 75.2, 4.0), (0.1, 0.1, 0.15))
SMALL = Grid((-2.0, -1.0, -1.0), (2.0, 2.0, 1.0), (0.5, 0.3, 0.5))


def naive_cells(points: np.ndarray, frame: np.ndarray, grid: Grid, num_frames: int) -> np.ndarray:
    """(P,) cell of each point or -1, one point at a time in float32."""
    lower = np.array(grid.lower, np.float32)
    inverse = np.array([1.0 / edge for edge in grid.cell], np.float32)
    nx, ny, nz = grid.shape
    cells = np.full(len(points), -1, np.int64)
    for p, (point, b) in enumerate(zip(points, frame, strict=True)):
        with np.errstate(all="ignore"):
            x, y, z = np.floor((point[:3] - lower) * inverse)
        if 0 <= x < nx and 0 <= y < ny and 0 <= z < nz and 0 <= b < num_frames:
            cells[p] = ((int(b) * nz + int(z)) * ny + int(y)) * nx + int(x)
    return cells


def assert_groups(voxels: Voxels, cells: np.ndarray) -> None:
    """`voxels` are the groups of points with the same cell."""
    groups = defaultdict(list)
    for p, cell in enumerate(cells):
        if cell >= 0:
            groups[cell].append(p)
    voxel_of_point = np.full(len(cells), -1, np.int64)
    for number, cell in enumerate(sorted(groups)):
        voxel_of_point[groups[cell]] = number
    assert voxels.cell.tolist() == sorted(groups)
    assert voxels.num_points.tolist() == [len(groups[cell]) for cell in sorted(groups)]
    np.testing.assert_array_equal(voxels.voxel_of_point.cpu().numpy(), voxel_of_point)
    assert {voxels.cell.dtype, voxels.voxel_of_point.dtype, voxels.num_points.dtype} == {torch.int64}


def cloud(rng: np.random.Generator, size: int, grid: Grid, num_frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Points around and beyond the grid, many on the edges of cells, some not finite; frames in any order."""
    lower, upper = np.array(grid.lower), np.array(grid.upper)
    points = rng.uniform(lower - 0.5, upper + 0.5, (size, 3))
    on_edge = rng.random((size, 3)) < 0.3
    snapped = lower + np.round((points - lower) / grid.cell) * grid.cell
    points = np.where(on_edge, snapped, points).astype(np.float32)
    points = np.nextafter(points, points + rng.integers(-1, 2, (size, 3)).astype(np.float32))
    points[rng.random((size, 3)) < 0.02] = rng.choice(np.array([np.nan, np.inf, -np.inf, 3e38, -0.0], np.float32))
    return points, rng.integers(-1, num_frames + 1, size)


def on(device: str, *arrays: np.ndarray) -> list[Tensor]:
    return [torch.from_numpy(array).to(device) for array in arrays]


@pytest.mark.parametrize("grid", [PILLARS, FINE, SMALL], ids=["pillars", "fine", "small"])
def test_equals_naive(device: str, grid: Grid) -> None:
    rng = np.random.default_rng(3)
    for size in (1, 300):
        points, frame = cloud(rng, size, grid, num_frames=3)
        voxels = voxelize(*on(device, points, frame), grid, 3)
        assert_groups(voxels, naive_cells(points, frame, grid, 3))


def test_fuzz_dynamic(device: str, num_trials: int) -> None:
    rng = np.random.default_rng(4)
    for _ in range(num_trials):
        grid = Grid((0.0, 0.0, 0.0), tuple(map(float, rng.integers(1, 7, 3))), (1.0, 1.0, 1.0))
        points, frame = cloud(rng, rng.integers(0, 40), grid, num_frames=2)
        voxels = voxelize(*on(device, points, frame), grid, 2)
        assert_groups(voxels, naive_cells(points, frame, grid, 2))


def test_fuzz_capped(device: str, num_trials: int) -> None:
    rng = np.random.default_rng(5)
    for seed in range(num_trials):
        points, frame = cloud(rng, rng.integers(0, 60), SMALL, num_frames=2)
        points[:, 2] = 0.1
        points[:, :2] = points[:, :2].round()
        tensors, cap = on(device, points, frame), int(rng.integers(1, 6))
        whole = voxelize(*tensors, SMALL, 2)
        first = voxelize(*tensors, SMALL, 2, max_points=cap)
        some = voxelize(*tensors, SMALL, 2, max_points=cap, sample="random", seed=seed)
        for voxels in (first, some):
            assert torch.equal(voxels.cell, whole.cell)
            assert torch.equal(voxels.num_points, whole.num_points.clamp(max=cap))
        voxel = whole.voxel_of_point.cpu().numpy()
        np.testing.assert_array_equal(first.voxel_of_point.cpu().numpy(), naive_cap(voxel, cap, range(len(voxel))))
        by_priority = sorted(range(len(voxel)), key=lambda p: mixed(p ^ mixed(seed)))
        np.testing.assert_array_equal(some.voxel_of_point.cpu().numpy(), naive_cap(voxel, cap, by_priority))


def naive_cap(voxel: np.ndarray, cap: int, order: Iterable[int]) -> np.ndarray:
    """`voxel` with -1 for points that, taken in `order`, come to a voxel with `cap` points."""
    kept, seen = np.full_like(voxel, -1), Counter[int]()
    for p in order:
        if voxel[p] >= 0 and seen[voxel[p]] < cap:
            kept[p] = voxel[p]
            seen[voxel[p]] += 1
    return kept


def mixed(word: int) -> int:
    """MurmurHash3's finaliser."""
    word = (word ^ word >> 16) * 0x85EBCA6B % 2**32
    word = (word ^ word >> 13) * 0xC2B2AE35 % 2**32
    return word ^ word >> 16


def test_random_sample_is_even_and_follows_the_seed() -> None:
    points, frame = torch.zeros(1000, 3), torch.zeros(1000, dtype=torch.int64)
    chosen = torch.zeros(1000)
    for seed in range(-200, 200):
        voxels = voxelize(points, frame, SMALL, 1, max_points=100, sample="random", seed=seed)
        assert (voxels.voxel_of_point >= 0).sum() == 100
        chosen += voxels.voxel_of_point >= 0
    # 400 draws with chance 0.1: 40 +- 6. Five standard deviations of the thousand points' counts.
    assert chosen.min() > 10
    assert chosen.max() < 70
    assert 5.0 < chosen.std() < 7.0


def test_frames_without_points(device: str) -> None:
    points = torch.tensor([[0.1, 0.1, 0.1], [0.1, 0.1, 0.1]], device=device)
    voxels = voxelize(points, torch.tensor([3, 1], device=device), SMALL, 6)
    assert voxels.coordinates().tolist() == [[1, 2, 3, 4], [3, 2, 3, 4]]
    assert voxels.voxel_of_point.tolist() == [1, 0]
    assert voxels.num_frames == 6


def test_no_points(device: str) -> None:
    none = torch.zeros(0, 5, device=device), torch.zeros(0, dtype=torch.int64, device=device)
    for cap in (None, 3):
        for sample in ("first", "random"):
            voxels = voxelize(*none, FINE, 2, max_points=cap, sample=sample)
            assert (len(voxels), len(voxels.voxel_of_point), len(voxels.num_points)) == (0, 0, 0)
            assert voxels.coordinates().shape == (0, 4)


def test_no_point_in_the_grid(device: str) -> None:
    points = torch.full((4, 3), torch.nan, device=device)
    points[1:] = torch.tensor([[2.0, 0, 0], [0, -1.00001, 0], [0, 0, 1.0]])
    voxels = voxelize(points, torch.zeros(4, dtype=torch.int64, device=device), SMALL, 1, max_points=2)
    assert len(voxels) == 0
    assert voxels.voxel_of_point.tolist() == [-1, -1, -1, -1]


def test_lower_faces_belong_to_the_grid_and_upper_faces_do_not(device: str) -> None:
    grid = Grid((0.0, 0.0, 0.0), (2.0, 2.0, 2.0), (1.0, 1.0, 1.0))
    points = torch.tensor([[0.0, -0.0, 0], [1, 1, 1], [1.9999999, 1, 1], [2, 1, 1], [-1e-45, 1, 1]], device=device)
    voxels = voxelize(points, torch.zeros(5, dtype=torch.int64, device=device), grid, 1)
    assert voxels.cell.tolist() == [0, 7]
    assert voxels.voxel_of_point.tolist() == [0, 1, 1, -1, -1]


@pytest.mark.parametrize("columns", [3, 5, 8])
def test_reads_slices_and_other_dtypes(device: str, columns: int) -> None:
    wide = torch.rand(200, 10, dtype=torch.float64, device=device)
    frame = torch.zeros(200, dtype=torch.int32, device=device)
    narrow = voxelize(wide.float()[:, :3].clone(), frame.long(), SMALL, 1)
    assert torch.equal(voxelize(wide[:, :columns], frame, SMALL, 1).voxel_of_point, narrow.voxel_of_point)


@pytest.mark.parametrize("grid", [PILLARS, FINE], ids=["pillars", "fine"])
def test_real_clouds(real_data: Path, grid: Grid) -> None:
    """Two frames of about 180,000 points against torch.unique over ids made with numpy."""
    clouds = [np.fromfile(real_data / f"waymo/points_{n}.bin", np.float32).reshape(-1, 5) for n in (100, 105)]
    points = torch.from_numpy(np.concatenate(clouds))
    frame = torch.repeat_interleave(torch.tensor([0, 2]), torch.tensor([len(cloud) for cloud in clouds]))
    voxels = voxelize(points, frame, grid, 3)
    lower, inverse = torch.tensor(grid.lower), torch.tensor([1.0 / edge for edge in grid.cell])
    x, y, z = ((points[:, :3] - lower) * inverse).floor().unbind(1)
    nx, ny, nz = grid.shape
    inside = (x >= 0) & (x < nx) & (y >= 0) & (y < ny) & (z >= 0) & (z < nz)
    ids = (((frame * nz + z.long()) * ny + y.long()) * nx + x.long())[inside]
    cell, inverse_map, count = torch.unique(ids, return_inverse=True, return_counts=True)
    assert torch.equal(voxels.cell, cell)
    assert torch.equal(voxels.voxel_of_point[inside], inverse_map)
    assert (voxels.voxel_of_point[~inside] == -1).all()
    assert torch.equal(voxels.num_points, count)


ZEROS = torch.zeros(3, dtype=torch.int64)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((torch.zeros(3, 2), ZEROS, SMALL, 1), r"\(P, 3 or more\)"),
        ((torch.zeros(4, 3), ZEROS, SMALL, 1), "3 rows of frame_of_point for 4 of points"),
        ((torch.zeros(3, 3), ZEROS, Grid((0, 0, 0), (1e3, 1e3, 1e3), (0.5, 0.5, 0.5)), 1), "fewer than 2"),
    ],
)
def test_says_what_is_wrong(arguments: tuple[Tensor, Tensor, Grid, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        voxelize(*arguments)


def test_a_cap_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="max_points = 0"):
        voxelize(torch.zeros(3, 3), ZEROS, SMALL, 1, max_points=0)


def test_any_height_takes_points_of_every_finite_z(device: str) -> None:
    """x and y decide as ever; the cell of a point within the grid stays what it was."""
    rng = np.random.default_rng(3)
    points = torch.from_numpy(rng.uniform([-1, -1, -9], [5, 5, 9], (300, 3)).astype(np.float32))
    points[:6, 2] = torch.tensor([torch.nan, torch.inf, -torch.inf, 1e25, -1e25, 0.0])
    points[:6, :2] = 0.5
    grid = Grid((0.0, 0.0, -2.0), (4.0, 4.0, 2.0), (1.0, 1.0, 4.0))
    flat = points.clone()
    flat[:, 2] = torch.where(points[:, 2].isfinite(), 0.0, points[:, 2])
    frame = torch.zeros(300, dtype=torch.int64, device=device)
    ours = voxelize(points.to(device), frame, grid, 1, any_height=True)
    expected = voxelize(flat.to(device), frame, grid, 1)
    assert torch.equal(ours.voxel_of_point, expected.voxel_of_point)
    assert torch.equal(ours.cell, expected.cell)
    assert (ours.voxel_of_point[:6] >= 0).tolist() == [False, False, False, True, True, True]
