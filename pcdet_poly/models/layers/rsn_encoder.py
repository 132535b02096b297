"""Foreground points -> features of the voxels they lie in."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pcdet_poly.ops.scatter import scatter_max, scatter_mean
from pcdet_poly.structures import Sites, SparseTensor, Voxels

GEOMETRY_CHANNELS = 15  # place 3, offset from the mean 3, covariance 6, offset from the centre 3


class VoxelEncoder(nn.Module):
    """RSN's dynamic voxel encoder: a PointNet with layer norm, then the maximum over each voxel's points.

    Layer norm, unlike batch norm, does not care how many points the segmentation lets through.
    Shapes: P points, all of them in voxels; V voxels, C channels.
    """

    def __init__(self, point_channels: int, channels: int, num_layers: int) -> None:
        super().__init__()
        inputs = [GEOMETRY_CHANNELS + point_channels] + [channels] * (num_layers - 1)
        self.layers = nn.Sequential(*(_layer(width, channels) for width in inputs))

    def forward(self, xyz: Tensor, features: Tensor, voxels: Voxels) -> SparseTensor:
        """Points (P, 3), their features (P, point_channels) -> (V, channels)."""
        inputs = torch.cat([geometry(xyz, voxels), features], dim=1)
        pooled = scatter_max(self.layers(inputs), voxels.voxel_of_point, len(voxels))
        nx, ny, nz = voxels.grid.shape
        return SparseTensor(pooled, Sites(voxels.cell, (nz, ny, nx), voxels.num_frames))


def geometry(xyz: Tensor, voxels: Voxels) -> Tensor:
    """Points (P, 3) -> (P, 15): place in the grid in [-1, 1], offset from the mean of the voxel's points, their
    covariance (xx, xy, xz, yy, yz, zz), offset from the voxel's centre; metres but for the first.
    """
    grid, voxel = voxels.grid, voxels.voxel_of_point
    lower, upper, cell = xyz.new_tensor(grid.lower), xyz.new_tensor(grid.upper), xyz.new_tensor(grid.cell)
    middle = lower + (voxels.coordinates()[:, [3, 2, 1]] + 0.5) * cell  # (V, 3)
    from_mean = xyz - scatter_mean(xyz, voxel, len(voxels))[voxel]
    first, second = torch.triu_indices(3, 3, device=xyz.device)
    covariance = scatter_mean(from_mean[:, first] * from_mean[:, second], voxel, len(voxels))  # (V, 6)
    place = (2 * xyz - lower - upper) / (upper - lower)
    return torch.cat([place, from_mean, covariance[voxel], xyz - middle[voxel]], dim=1)


def _layer(in_channels: int, channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(in_channels, channels, bias=False), nn.LayerNorm(channels), nn.ReLU(inplace=True))
