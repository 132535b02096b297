"""Features of points -> features of voxels -> a bird's-eye image."""

from __future__ import annotations

import torch
from torch import Tensor

from pcdet_poly.structures import Voxels


def scatter_mean(values: Tensor, voxel_of_point: Tensor, num_voxels: int) -> Tensor:
    """Mean of the values (P, C) of each voxel's points -> (V, C). Points with voxel -1 are ignored."""
    kept = voxel_of_point >= 0
    index = voxel_of_point[kept]
    total = values.new_zeros(num_voxels, values.shape[1]).index_add(0, index, values[kept])
    return total / torch.bincount(index, minlength=num_voxels)[:, None]


def scatter_max(values: Tensor, voxel_of_point: Tensor, num_voxels: int) -> Tensor:
    """Maximum of the values (P, C) of each voxel's points -> (V, C). Points with voxel -1 are ignored.

    Where several points share the maximum, each receives an equal share of the gradient.
    """
    kept = voxel_of_point >= 0
    index = voxel_of_point[kept][:, None].expand(-1, values.shape[1])
    start = values.new_full((num_voxels, values.shape[1]), -torch.inf)
    return start.scatter_reduce(0, index, values[kept], "amax", include_self=False)


def to_bev(features: Tensor, voxels: Voxels, *, channels_last: bool = False) -> Tensor:
    """Features of pillars (V, C) -> bird's-eye image (B, C, ny, nx), zero where no pillar is.

    With `channels_last` the result has that memory layout, which costs no transposition.
    """
    nx, ny, nz = voxels.grid.shape
    if nz != 1:
        raise ValueError(f"to_bev: the grid has {nz} layers of cells; only pillars (1 layer) make an image")
    canvas = features.new_zeros(voxels.num_frames * ny * nx, features.shape[1]).index_copy(0, voxels.cell, features)
    image = canvas.view(voxels.num_frames, ny, nx, features.shape[1]).permute(0, 3, 1, 2)
    return image if channels_last else image.contiguous()
