"""Points grouped by the cell of a grid they lie in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pcdet_poly.structures.grid import Grid

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class Voxels:
    """The V cells that hold a point, over all frames of a batch, ascending. A pillar is a voxel with nz = 1."""

    cell: Tensor  # (V,) int64 ascending: ((frame * nz + z) * ny + y) * nx + x
    voxel_of_point: Tensor  # (P,) int64 in [0, V); -1 where a point was dropped
    num_points: Tensor  # (V,) int64 >= 1, points kept per voxel
    grid: Grid
    num_frames: int

    def __len__(self) -> int:
        return len(self.cell)

    def coordinates(self) -> Tensor:
        """(V, 4) int64: frame, z, y, x."""
        import torch

        nx, ny, nz = self.grid.shape
        row = self.cell // nx  # (frame * nz + z) * ny + y
        layer = row // ny  # frame * nz + z
        return torch.stack([layer // nz, layer % nz, row % ny, self.cell % nx], dim=1)

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> Voxels:
        """The same voxels on `device`."""
        return Voxels(
            cell=self.cell.to(device, non_blocking=non_blocking),
            voxel_of_point=self.voxel_of_point.to(device, non_blocking=non_blocking),
            num_points=self.num_points.to(device, non_blocking=non_blocking),
            grid=self.grid,
            num_frames=self.num_frames,
        )
