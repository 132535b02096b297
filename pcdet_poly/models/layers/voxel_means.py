"""Points -> voxel features: the mean of each voxel's points, any number of them."""

from __future__ import annotations

from torch import Tensor

from pcdet_poly.ops.scatter import scatter_mean
from pcdet_poly.ops.voxelize import voxelize
from pcdet_poly.structures import Grid, Sites, SparseTensor


def mean_of_points(points: Tensor, frame_of_point: Tensor, grid: Grid, num_frames: int) -> SparseTensor:
    """Points (P, C) -> voxels (V, C), all columns averaged, coordinates included.

    The cells have one layer more along z than `grid`, empty, as in the public networks: it decides
    how many layers are left after strided convolutions.
    """
    voxels = voxelize(points, frame_of_point, grid, num_frames)
    features = scatter_mean(points, voxels.voxel_of_point, len(voxels))
    nx, ny, nz = grid.shape
    frame = voxels.cell // (nz * ny * nx)
    return SparseTensor(features, Sites(voxels.cell + frame * (ny * nx), (nz + 1, ny, nx), num_frames))
