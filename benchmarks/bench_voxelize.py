"""Voxelization of 180,000 points: ours, spconv's PointToVoxel, torch.unique, and moving the bytes.

    python -m benchmarks.bench_voxelize [--device cuda] [--threads N] [--json]

Checks first that ours equals torch.unique's. The floor reads points and frame indices and writes the
voxel of each point, cells and counts; "from memory" means that no input is in a cache. Peers take turns with
ours; a ratio is the median over nine rounds.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.common import Row, from_memory, graph_ms, lidar_cloud, main, median_ms, memory_floor_ms, together_ms
from pcdet_poly.ops.voxelize import voxelize
from pcdet_poly.structures import Grid

NUM_POINTS = 180_000
PILLARS = Grid((-74.88, -74.88, -2.0), (74.88, 74.88, 4.0), (0.32, 0.32, 6.0))
FINE = Grid((-75.2, -75.2, -2.0), (75.2, 75.2, 4.0), (0.1, 0.1, 0.15))


def voxelize_by_unique(points: Tensor, frame: Tensor, grid: Grid) -> tuple[Tensor, Tensor, Tensor]:
    """Cells, voxel of each point inside, counts: what dynamic voxelization in public suites does."""
    lower = torch.tensor(grid.lower, device=points.device)
    inverse = torch.tensor([1.0 / edge for edge in grid.cell], device=points.device)
    shape = torch.tensor(grid.shape, device=points.device)
    place = torch.floor((points[:, :3] - lower) * inverse).long()
    inside = ((place >= 0) & (place < shape)).all(1)
    place, (nx, ny, nz) = place[inside], grid.shape
    ids = ((frame[inside] * nz + place[:, 2]) * ny + place[:, 1]) * nx + place[:, 0]
    return torch.unique(ids, return_inverse=True, return_counts=True)


def prepare_point_to_voxel(points: Tensor, grid: Grid, max_points: int, max_voxels: int) -> Callable[[], object] | None:
    """spconv's voxelizer with its table made, ready to be called."""
    try:
        from spconv.pytorch.utils import PointToVoxel
    except ImportError:
        return None
    limits = [*grid.lower, *grid.upper]
    voxelizer = PointToVoxel(list(grid.cell), limits, points.shape[1], max_voxels, max_points, device=points.device)
    return lambda: voxelizer(points)


def draw_cloud(device: str) -> Tensor:
    """180,000 points: real ones where $PCDET_POLY_REAL is set (see tests/conftest.py), else synthetic."""
    points = lidar_cloud(NUM_POINTS)
    if "PCDET_POLY_REAL" in os.environ:
        files = (Path(os.environ["PCDET_POLY_REAL"]) / f"waymo/points_{number}.bin" for number in (100, 105))
        points = np.concatenate([np.fromfile(file, np.float32).reshape(-1, 5) for file in files])[:NUM_POINTS]
    return torch.from_numpy(points).to(device)


def rows(device: str) -> Iterator[Row]:
    """One table for pillars and fine voxels."""
    points = draw_cloud(device)
    frame = torch.zeros(len(points), dtype=torch.int64, device=device)
    for name, grid, limits in (("pillars", PILLARS, (20, 50_000)), ("fine voxels", FINE, (5, 150_000))):
        voxels, (cell, _, count) = voxelize(points, frame, grid, 1), voxelize_by_unique(points, frame, grid)
        if not (torch.equal(voxels.cell, cell) and torch.equal(voxels.num_points, count)):
            raise AssertionError(f"{name}: not what torch.unique gives")
        if device == "cuda":
            yield Row(
                f"{name}: ours, all points, GPU time without the wait",
                graph_ms(prepare_without_wait(points, frame, grid)),
            )
        yield from _measure_peers(name, points, frame, grid, limits, device)
        num_bytes = points.nbytes + frame.nbytes + voxels.voxel_of_point.nbytes + 2 * voxels.cell.nbytes
        cold = median_ms(from_memory(lambda p, f, grid=grid: voxelize(p, f, grid, 1), points, frame), device)
        floor = memory_floor_ms(num_bytes, device)
        yield Row(f"{name}: ours from memory", cold)
        yield Row(f"{name}: memory floor", floor, f"{num_bytes / 1e6:.1f} MB; ours from memory {cold / floor:.1f} x")


def _measure_peers(
    name: str, points: Tensor, frame: Tensor, grid: Grid, limits: tuple[int, int], device: str
) -> Iterator[Row]:
    cap, max_voxels = limits
    theirs = prepare_point_to_voxel(points, grid, cap, max_voxels)
    functions: dict[str, Callable[[], object]] = {
        "ours, all points": lambda: voxelize(points, frame, grid, 1),
        f"ours, first {cap} points": lambda: voxelize(points, frame, grid, 1, max_points=cap),
        f"ours, random {cap} points": lambda: voxelize(points, frame, grid, 1, max_points=cap, sample="random"),
        "torch ids + unique": lambda: voxelize_by_unique(points, frame, grid),
    } | ({f"spconv PointToVoxel, {cap} points": theirs} if theirs else {})
    rounds = np.array(together_ms(list(functions.values()), device))  # (rounds, functions)
    for what, column in zip(functions, rounds.T, strict=True):
        note = ""
        if not what.startswith("ours"):
            dynamic, first = (np.median(column / rounds[:, k]) for k in (0, 1))
            note = f"{dynamic:.1f} x ours, all points; {first:.1f} x ours, first {cap}"
        yield Row(f"{name}: {what}", float(np.median(column)), note)


def prepare_without_wait(points: Tensor, frame: Tensor, grid: Grid) -> Callable[[], object]:
    """The part of voxelization that runs before the host asks for the number of cells."""
    from pcdet_poly.ops.gpu.voxelize import voxelize_padded

    inverse = [1.0 / edge for edge in grid.cell]
    return lambda: voxelize_padded(points, frame, list(grid.lower), inverse, list(grid.shape), 1)


if __name__ == "__main__":
    main(__doc__, rows)
