"""Points -> voxel features: the mean of each voxel's points."""

from __future__ import annotations

from torch import Tensor

from pcdet_poly.ops.scatter import scatter_mean
from pcdet_poly.ops.voxelize import voxelize
from pcdet_poly.structures import Grid, Sites, SparseTensor


def average_points(
    points: Tensor, frame_of_point: Tensor, grid: Grid, num_frames: int, *, max_points: int | None = None
) -> SparseTensor:
    """Average the points of each voxel, all columns, coordinates included.

    Args:
        points: (P, C) float32, C at least 3: x, y, z, metres in the grid's frame, then features.
        frame_of_point: (P,) int64 frame of each point, in [0, num_frames).
        grid: the voxels, in the vehicle frame.
        num_frames: frames of the batch, those without points included.
        max_points: how many of a voxel's points count, the first in order; None for all.

    Returns:
        V voxels with features (V, C). They have one layer of cells more along z than `grid`, empty, as in the
        public networks: it decides how many layers are left after strided convolutions.
    """
    voxels = voxelize(points, frame_of_point, grid, num_frames)
    features = scatter_mean(points, voxels.voxel_of_point, len(voxels), max_points=max_points)
    nx, ny, nz = grid.shape
    frame = voxels.cell // (nz * ny * nx)
    return SparseTensor(features, Sites(voxels.cell + frame * (ny * nx), (nz + 1, ny, nx), num_frames))
