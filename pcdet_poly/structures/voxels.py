"""Points grouped by the cell of a grid that they lie in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pcdet_poly.structures.cells import unravel_cells
from pcdet_poly.structures.grid import Grid

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class Voxels:
    """The V cells with points, of all frames of a batch, ascending. A pillar is a voxel of a grid with nz = 1."""

    cell: Tensor  # (V,) int64 ascending: ((frame * nz + z) * ny + y) * nx + x
    voxel_of_point: Tensor  # (P,) int64 in [0, V); -1 where a point was dropped
    num_points: Tensor  # (V,) int64 >= 1, points kept per voxel
    grid: Grid
    num_frames: int

    def __len__(self) -> int:
        return len(self.cell)

    def coordinates(self) -> Tensor:
        """Frame, z, y and x of each cell, (V, 4) int64."""
        return unravel_cells(self.cell, *self.grid.shape)

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> Voxels:
        """The same voxels on `device`."""
        return Voxels(
            cell=self.cell.to(device, non_blocking=non_blocking),
            voxel_of_point=self.voxel_of_point.to(device, non_blocking=non_blocking),
            num_points=self.num_points.to(device, non_blocking=non_blocking),
            grid=self.grid,
            num_frames=self.num_frames,
        )
