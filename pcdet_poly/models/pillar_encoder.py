"""Points -> pillar features: a small PointNet per pillar, any number of points in it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pcdet_poly.ops.scatter import scatter_max, scatter_mean
from pcdet_poly.structures import Grid, Voxels


class PillarEncoder(nn.Module):
    """Dynamic pillar encoder: layers of linear, batch norm, ReLU, then the maximum over the pillar.

    Each point's inputs are its columns, its offset from the mean of its pillar's points and its
    offset from the pillar's centre. A layer that is not the last makes half its width per point
    and appends the pillar's maximum of it.
    Shapes: P points, V pillars, C channels.
    """

    def __init__(self, point_channels: int, channels: Sequence[int]) -> None:
        super().__init__()
        widths = [width // 2 for width in channels[:-1]] + [channels[-1]]
        inputs = [point_channels + 6, *channels[:-1]]
        self.layers = nn.ModuleList(PillarLayer(*sizes) for sizes in zip(inputs, widths, strict=True))

    def forward(self, points: Tensor, voxels: Voxels) -> Tensor:
        """Points (P, C) and the pillars they lie in -> (V, channels[-1]); points in no pillar are left out."""
        inside = voxels.voxel_of_point >= 0
        points, pillar_of_point = points[inside], voxels.voxel_of_point[inside]
        features = decorate(points, pillar_of_point, voxels)  # (P, C + 6)
        for layer in self.layers[:-1]:
            features = layer(features)
            highest = scatter_max(features, pillar_of_point, len(voxels.cell))
            features = torch.cat([features, highest[pillar_of_point]], dim=1)
        return scatter_max(self.layers[-1](features), pillar_of_point, len(voxels.cell))


class PillarLayer(nn.Module):
    """Linear, batch norm, ReLU on each point: (P, C) -> (P, width)."""

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(in_channels, width, bias=False)
        self.norm = PointNorm(width, eps=1e-3, momentum=0.01)

    def forward(self, features: Tensor) -> Tensor:
        normed: Tensor = self.norm(self.linear(features))
        return normed.relu()


class PointNorm(nn.BatchNorm1d):
    """Batch norm over points. One point or none has no variance: it passes by the running statistics."""

    def forward(self, input: Tensor) -> Tensor:
        if self.training and len(input) < 2:
            return nn.functional.batch_norm(
                input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        return super().forward(input)


def decorate(points: Tensor, pillar_of_point: Tensor, voxels: Voxels) -> Tensor:
    """(P, C) points -> (P, C + 6): with offsets to the mean of the pillar's points and to its centre, metres."""
    xyz = points[:, :3]
    mean = scatter_mean(xyz, pillar_of_point, len(voxels.cell))
    centre = pillar_centres(voxels)
    return torch.cat([points, xyz - mean[pillar_of_point], xyz - centre[pillar_of_point]], dim=1)


def pillar_centres(voxels: Voxels) -> Tensor:
    """(V, 3) float32 centres of the pillars, metres."""
    grid: Grid = voxels.grid
    index = voxels.coordinates()[:, [3, 2, 1]].float()  # (V, 3) x, y, z
    return (index + 0.5) * index.new_tensor(grid.cell) + index.new_tensor(grid.lower)
