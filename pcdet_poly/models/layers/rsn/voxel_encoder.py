"""Foreground points -> features of the voxels they lie in."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pcdet_poly.ops.pillars import voxel_centres
from pcdet_poly.ops.scatter import scatter_max, scatter_mean
from pcdet_poly.structures import Sites, SparseTensor, Voxels

GEOMETRY_CHANNELS = 15  # position 3, offset from the mean 3, covariance 6, offset from the centre 3


class RsnVoxelEncoder(nn.Module):
    """RSN's dynamic voxel encoder: a PointNet with layer norm, then the maximum over each voxel's points.

    Layer norm, unlike batch norm, does not depend on how many points the segmentation lets through.
    Shapes: P points, all of them in voxels; V voxels, C channels.
    """

    def __init__(self, point_channels: int, channels: int, num_layers: int) -> None:
        super().__init__()
        inputs = [GEOMETRY_CHANNELS + point_channels] + [channels] * (num_layers - 1)
        self.layers = nn.Sequential(*(_make_layer(width, channels) for width in inputs))

    def forward(self, xyz: Tensor, features: Tensor, voxels: Voxels) -> SparseTensor:
        """Encode points as voxels.

        Args:
            xyz: (P, 3) points, metres, in the frame of the grid.
            features: (P, point_channels) what else is known of each point.
            voxels: the voxels that hold them; every point has one.

        Returns:
            The V voxels with features (V, channels).
        """
        inputs = torch.cat([describe_geometry(xyz, voxels), features], dim=1)
        pooled = scatter_max(self.layers(inputs), voxels.voxel_of_point, len(voxels))
        nx, ny, nz = voxels.grid.shape
        return SparseTensor(pooled, Sites(voxels.cell, (nz, ny, nx), voxels.num_frames))


def describe_geometry(xyz: Tensor, voxels: Voxels) -> Tensor:
    """Describe where each point lies in the grid and in its voxel.

    Args:
        xyz: (P, 3) points, metres, in the frame of the grid.
        voxels: the voxels that hold them; every point has one.

    Returns:
        (P, 15): position in the grid in [-1, 1]; then, in metres, the offset from the mean of the voxel's points,
        the covariance of these points (xx, xy, xz, yy, yz, zz), and the offset from the voxel's centre.
    """
    grid, voxel = voxels.grid, voxels.voxel_of_point
    lower, upper, centre = xyz.new_tensor(grid.lower), xyz.new_tensor(grid.upper), voxel_centres(voxels)
    from_mean = xyz - scatter_mean(xyz, voxel, len(voxels))[voxel]
    first, second = torch.triu_indices(3, 3, device=xyz.device)
    covariance = scatter_mean(from_mean[:, first] * from_mean[:, second], voxel, len(voxels))  # (V, 6)
    position = (2 * xyz - lower - upper) / (upper - lower)
    return torch.cat([position, from_mean, covariance[voxel], xyz - centre[voxel]], dim=1)


def _make_layer(in_channels: int, channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(in_channels, channels, bias=False), nn.LayerNorm(channels), nn.ReLU(inplace=True))
