"""Features on the few active cells of a grid."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pcdet_poly.structures.cells import unravel_cells

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class Sites:
    """The V active cells of a batch of grids, ascending. Two dimensions are three with nz = 1."""

    cell: Tensor  # (V,) int64 ascending, each once: ((frame * nz + z) * ny + y) * nx + x
    shape: tuple[int, int, int]  # nz, ny, nx
    num_frames: int

    def __len__(self) -> int:
        return len(self.cell)

    def coordinates(self) -> Tensor:
        """Frame, z, y and x of each cell, (V, 4) int64."""
        nz, ny, nx = self.shape
        return unravel_cells(self.cell, nx, ny, nz)

    def to(self, device: torch.device | str) -> Sites:
        """The same cells on `device`."""
        return replace(self, cell=self.cell.to(device))


@dataclass(frozen=True)
class SparseTensor:
    """A row of features for each active cell."""

    features: Tensor  # (V, C)
    sites: Sites

    def __post_init__(self) -> None:
        if len(self.features) != len(self.sites):
            raise ValueError(f"SparseTensor: {len(self.features)} rows of features for {len(self.sites)} cells")

    def replace_features(self, features: Tensor) -> SparseTensor:
        """The same cells with other features (V, C')."""
        return SparseTensor(features, self.sites)
