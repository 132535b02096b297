"""Points -> the cells of a grid that hold them."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from pcdet_poly.ops.cpu import sample as cpu_sample
from pcdet_poly.ops.cpu import voxelize as cpu
from pcdet_poly.structures import Grid, Voxels


def voxelize(
    points: Tensor,
    frame_of_point: Tensor,
    grid: Grid,
    num_frames: int,
    *,
    max_points: int | None = None,
    sample: Literal["first", "random"] = "first",
    seed: int = 0,
) -> Voxels:
    """Group the points of all frames by cell.

    Args:
        points: (P, C) with C >= 3, metres: x, y, z in the grid's frame; further columns are not read.
        frame_of_point: (P,) int64 frame of each point, in any order; frames may be empty.
        grid: cells; nz = 1 makes pillars.
        num_frames: B.
        max_points: keep at most this many points per voxel; None keeps all.
        sample: which to keep, the first in the order of the points or a random subset by `seed`.
        seed: of the random subset, any integer.

    A point's cell is floor((p - lower) * (1 / cell)) along each axis, all in float32. Points outside
    [lower, upper), points with NaN, and points of a frame outside [0, B) are dropped.
    """
    if points.ndim != 2 or points.shape[1] < 3 or frame_of_point.shape != points.shape[:1]:
        raise ValueError(
            f"voxelize: points {tuple(points.shape)} with frame_of_point {tuple(frame_of_point.shape)} given, "
            "(P, 3 or more) and (P,) needed"
        )
    if max_points is not None and max_points < 1:
        raise ValueError(f"voxelize: max_points = {max_points}; give at least 1, or None for all points")
    lower = np.array(grid.lower, np.float32)
    inverse = np.array([1.0 / edge for edge in grid.cell], np.float32)
    cell, voxel_of_point, num_points = cpu.voxelize(
        points.detach().float().contiguous().numpy(),
        frame_of_point.contiguous().numpy(),
        lower,
        inverse,
        np.array(grid.shape, np.int32),
        num_frames,
    )
    if max_points is not None:
        if sample == "first":
            voxel_of_point = cpu_sample.keep_first(voxel_of_point, len(cell), max_points)
        else:
            voxel_of_point = cpu_sample.keep_random(voxel_of_point, num_points, max_points, seed)
        num_points = np.minimum(num_points, max_points)
    return Voxels(
        torch.from_numpy(cell), torch.from_numpy(voxel_of_point), torch.from_numpy(num_points), grid, num_frames
    )
