"""Points of one frame -> the pillars that hold them, in plain torch operations that ONNX has."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from pcdet_poly.models.layers.pillar_encoder import PillarEncoder
from pcdet_poly.structures import Grid

TALLEST_M = 1e30  # a point of any height has a finite one


class GroupedPoints(NamedTuple):
    """K points in V pillars, as `ExportedNetwork` takes them."""

    points: Tensor  # (K, C)
    pillar_of_point: Tensor  # (K,) int64
    cell_of_pillar: Tensor  # (V,) int64, y * nx + x, ascending


class PointGrouping(nn.Module):
    """The pillars of a frame's points, as `PillarEncoder.group_points` has them, without operations of our own.

    Points outside the grid, and those with a number that is none, are left out. Cells are numbered by a sum over all
    cells of the grid, so that nothing is sorted; `max_points` alone needs one sort of the points.
    """

    lower: Tensor
    inverse_cell: Tensor
    shape: Tensor

    def __init__(self, grid: Grid, encoder: PillarEncoder) -> None:
        super().__init__()
        self.nx, self.ny, _ = grid.shape
        self.max_points, self.any_height = encoder.max_points, encoder.any_height
        self.register_buffer("lower", torch.tensor(grid.lower))
        self.register_buffer("inverse_cell", torch.tensor([1.0 / edge for edge in grid.cell]))
        self.register_buffer("shape", torch.tensor(grid.shape, dtype=torch.float32))

    def forward(self, points: Tensor) -> GroupedPoints:
        """Group points (P, C), x, y, z first, metres in the vehicle frame."""
        place = ((points[:, :3] - self.lower) * self.inverse_cell).floor()  # (P, 3)
        inside = (place >= 0) & (place < self.shape)
        height = points[:, 2].abs() < TALLEST_M if self.any_height else inside[:, 2]
        chosen = (inside[:, 0] & inside[:, 1] & height).nonzero()[:, 0]  # (K,)
        column, row, _ = place[chosen].long().unbind(dim=1)
        cell = row * self.nx + column  # (K,)
        count = self._count_points(cell)
        if self.max_points is not None:
            first = self._find_first_points(cell, count, self.max_points)
            chosen, cell = chosen[first], cell[first]
        number = (count > 0).long().cumsum(0) - 1  # (ny * nx,)
        return GroupedPoints(points[chosen], number[cell], count.nonzero()[:, 0])

    def _count_points(self, cell: Tensor) -> Tensor:
        return cell.new_zeros(self.ny * self.nx).scatter_add(0, cell, torch.ones_like(cell))

    def _find_first_points(self, cell: Tensor, count: Tensor, max_points: int) -> Tensor:
        """Find the points that are among the first of their pillar: positions, by pillar."""
        position = torch.ones_like(cell).cumsum(0) - 1
        key = cell * 2**31 + position
        order = key.sort().indices
        start = count.cumsum(0) - count  # points in the cells before
        rank = position - start[cell[order]]
        return order[(rank < max_points).nonzero()[:, 0]]
