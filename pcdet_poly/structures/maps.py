"""The outputs of detection heads before decoding: logits and box codes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from pcdet_poly.structures.sparse import Sites


@dataclass(frozen=True)
class CenterMaps:
    """Output of a centre head. B frames, K classes, H cells along y, W cells along x."""

    heatmap: Tensor  # (B, K, H, W) logits
    offset: Tensor  # (B, 2, H, W) centre x, y inside the cell, in cells
    z: Tensor  # (B, 1, H, W) centre height, metres
    size: Tensor  # (B, 3, H, W) log of length, width, height in metres
    heading: Tensor  # (B, 2, H, W) sin, cos; or for n bins (B, 2 n, H, W) logits, then residuals, in bins
    iou: Tensor | None = None  # (B, 1, H, W) 2 IoU - 1 of the cell's box, where the head has that branch
    velocity: Tensor | None = None  # (B, 2, H, W) x, y in the vehicle frame, m/s, where the head has that branch

    def box_code(self) -> Tensor:
        """Offset, z, size and the C channels of heading, (B, 6 + C, H, W), as ops/center_box_coder.py reads it."""
        import torch

        return torch.cat([self.offset, self.z, self.size, self.heading], dim=1)


@dataclass(frozen=True)
class AnchorMaps:
    """Output of an anchor head. B frames, N = H * W * A anchors by row, column and position in the cell, K classes."""

    logit: Tensor  # (B, N, K) one per class, of any anchor
    code: Tensor  # (B, N, 7) residuals of x, y, z, length, width, height, heading
    direction: Tensor  # (B, N, D) logits of the sectors of heading


@dataclass(frozen=True)
class RsnMaps:
    """Output of RSN: S points with a pixel, V voxels that its sparse part kept, n sectors of heading."""

    foreground: Tensor  # (S,) logits, of the batch's points that have a pixel, in their order
    sites: Sites  # the V voxels
    centre: Tensor  # (V, 3) their centres, metres, vehicle frame
    heatmap: Tensor  # (V,) logits
    offset: Tensor  # (V, 3) from the voxel's centre to the box's, metres
    size: Tensor  # (V, 3) log of length, width, height in metres
    heading: Tensor  # (V, 2 n) logits, then residuals, in sectors; see ops/heading_bins.py
