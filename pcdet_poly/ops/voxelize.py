"""Points -> the cells of a grid that hold them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from pcdet_poly.ops.dispatch import check_lengths, check_shape, define_operation, to_float_rows, to_int_row
from pcdet_poly.ops.precision import WORD
from pcdet_poly.structures import Grid, Voxels

TALLEST = 2e30  # metres; a layer of cells so tall holds every z, and float32 holds its numbers


def voxelize(
    points: Tensor,
    frame_of_point: Tensor,
    grid: Grid,
    num_frames: int,
    *,
    max_points: int | None = None,
    sample: Literal["first", "random"] = "first",
    seed: int = 0,
    any_height: bool = False,
) -> Voxels:
    """Group the points of all frames by cell.

    A point's cell is floor((p - lower) * (1 / cell)) along each axis, all in float32. Points outside
    [lower, upper), points with NaN, and points of a frame outside [0, B) are dropped. The result is the
    same on every device. On a GPU the host waits once, for the number of cells.

    Args:
        points: (P, C) with C >= 3, metres: x, y, z in the grid's frame; further columns are not read.
        frame_of_point: (P,) int64 frame of each point, in any order; frames may be empty.
        grid: cells, fewer than 2**31 a frame; nz = 1 makes pillars.
        num_frames: B.
        max_points: keep at most this many points per voxel; None keeps all.
        sample: which to keep, the first in the order of the points or a random subset by `seed`.
        seed: of the random subset, any integer.
        any_height: with one layer of cells, take points of every finite z, those outside the grid's range too.

    Returns:
        The occupied cells, ascending, and each point's.

    Raises:
        ValueError: shapes do not fit, max_points is below 1, the grid has too many cells, or more than one layer of
            them with `any_height`.
    """
    check_shape("voxelize", "points", points, "P 3+")
    check_shape("voxelize", "frame_of_point", frame_of_point, "P", is_whole=True)
    check_lengths("voxelize", points=points, frame_of_point=frame_of_point)
    if num_frames < 0 or sample not in ("first", "random"):
        raise ValueError(f"voxelize: num_frames = {num_frames}, sample = {sample!r}; give 0 or more, first or random")
    if max_points is not None and max_points < 1:
        raise ValueError(f"voxelize: max_points = {max_points}; give at least 1, or None for all points")
    nx, ny, nz = grid.shape
    if nx * ny * nz >= 2**31:
        raise ValueError(f"voxelize: {nx} x {ny} x {nz} cells a frame; use cells large enough for fewer than 2**31")
    lower, inverse_cell = list(grid.lower), [1.0 / edge for edge in grid.cell]
    if any_height:
        if nz != 1:
            raise ValueError(f"voxelize: {nz} layers of cells; points of any height belong to pillars, 1 layer")
        lower[2], inverse_cell[2] = -TALLEST / 2, 1 / TALLEST
    cell, voxel_of_point, num_points = torch.ops.pcdet_poly.voxelize(
        to_float_rows(points),
        to_int_row(frame_of_point),
        lower,
        inverse_cell,
        [nx, ny, nz],
        num_frames,
    )
    if max_points is not None:
        if sample == "first":
            voxel_of_point = torch.ops.pcdet_poly.keep_first(voxel_of_point, num_points, max_points)
        else:
            voxel_of_point = torch.ops.pcdet_poly.keep_random(voxel_of_point, num_points, max_points, seed & WORD)
        num_points = num_points.clamp(max=max_points)
    return Voxels(cell, voxel_of_point, num_points, grid, num_frames)


def _voxelize_fake(
    points: Tensor,
    frame_of_point: Tensor,
    lower: Sequence[float],
    inverse_cell: Sequence[float],
    shape: Sequence[int],
    num_frames: int,
) -> tuple[Tensor, Tensor, Tensor]:
    num_voxels = torch.library.get_ctx().new_dynamic_size()
    cell = frame_of_point.new_empty(num_voxels)
    return cell, torch.empty_like(frame_of_point), torch.empty_like(cell)


def _kept_fake(voxel_of_point: Tensor, num_points: Tensor, max_points: int, seed: int = 0) -> Tensor:
    return torch.empty_like(voxel_of_point)


define_operation(
    "voxelize(Tensor points, Tensor frame_of_point, float[] lower, float[] inverse_cell, int[] shape, int num_frames)"
    " -> (Tensor, Tensor, Tensor)",
    file="voxelize",
    fake=_voxelize_fake,
)
define_operation(
    "keep_first(Tensor voxel_of_point, Tensor num_points, int max_points) -> Tensor", file="sample", fake=_kept_fake
)
define_operation(
    "keep_random(Tensor voxel_of_point, Tensor num_points, int max_points, int seed) -> Tensor",
    file="sample",
    fake=_kept_fake,
)
