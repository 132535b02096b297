"""A box of space cut into equal cells."""

from __future__ import annotations

from dataclasses import dataclass

from pcdet_poly.cells import count_cells


@dataclass(frozen=True)
class Grid:
    """Cells over [lower, upper) in the vehicle frame, metres. Cell (0, 0, 0) touches `lower`."""

    lower: tuple[float, float, float]  # x, y, z
    upper: tuple[float, float, float]
    cell: tuple[float, float, float]  # edge lengths along x, y, z

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of cells along x, y, z."""
        return count_cells(self.lower, self.upper, self.cell)

    def coarsen(self, stride: int) -> Grid:
        """The same space with cells `stride` times longer along x and y."""
        dx, dy, dz = self.cell
        return Grid(self.lower, self.upper, (dx * stride, dy * stride, dz))
