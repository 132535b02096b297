"""What a network's head says, before decoding: logits and box codes on a bird's-eye grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class CenterMaps:
    """Output of a centre head. B frames, K classes, H cells along y, W cells along x."""

    heatmap: Tensor  # (B, K, H, W) logits
    offset: Tensor  # (B, 2, H, W) centre x, y inside the cell, in cells
    z: Tensor  # (B, 1, H, W) centre height, metres
    size: Tensor  # (B, 3, H, W) log of length, width, height in metres
    heading: Tensor  # (B, 2, H, W) sin, cos
    iou: Tensor | None = None  # (B, 1, H, W) logits of the box's IoU, where the head has that branch
    velocity: Tensor | None = None  # (B, 2, H, W) m/s, where the head has that branch

    def box_code(self) -> Tensor:
        """(B, 8, H, W): offset, z, size, heading, in the order of CenterTargets.code."""
        import torch

        return torch.cat([self.offset, self.z, self.size, self.heading], dim=1)
