"""Numbers of cells of a batch of grids -> their coordinates."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def unravel_cells(cell: Tensor, nx: int, ny: int, nz: int) -> Tensor:
    """Frame, z, y and x of cells.

    Args:
        cell: (V,) int64, ((frame * nz + z) * ny + y) * nx + x.
        nx: number of cells along x.
        ny: number of cells along y.
        nz: number of cells along z.

    Returns:
        (V, 4) int64.
    """
    import torch

    row = cell // nx  # (frame * nz + z) * ny + y
    layer = row // ny  # frame * nz + z
    return torch.stack([layer // nz, layer % nz, row % ny, cell % nx], dim=1)
