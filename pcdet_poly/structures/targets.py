"""What a head should have said, and how far off it was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class CenterTargets:
    """Targets of a centre head: a dense heatmap, and N objects (all frames) at their cells."""

    heatmap: Tensor  # (B, K, H, W) float32 in [0, 1], 1 at peaks
    frame: Tensor  # (N,) int64 in [0, B)
    cell: Tensor  # (N,) int64, y * W + x
    label: Tensor  # (N,) int64 in [0, K)
    code: Tensor  # (N, 8) float32: offset x y (cells), z (m), log length width height, sin, cos


@dataclass(frozen=True)
class Losses:
    """Named scalar losses, weights applied, that add up to `total`."""

    parts: dict[str, Tensor]

    @property
    def total(self) -> Tensor:
        """Sum of the parts."""
        import torch

        return torch.stack(list(self.parts.values())).sum()
