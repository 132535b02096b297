"""Box codes at object cells: L1."""

from __future__ import annotations

from torch import Tensor


def at_cells(maps: Tensor, frame: Tensor, cell: Tensor) -> Tensor:
    """Values of `maps` (B, C, H, W) at cell = y * W + x of each frame: (N,), (N,) -> (N, C)."""
    return maps.flatten(2)[frame, :, cell]


def l1(prediction: Tensor, target: Tensor) -> Tensor:
    """|prediction - target|, elementwise, in float32 (float64 for float64). Gradient +-1, 0 at equality."""
    difference = prediction - target
    return (difference if difference.dtype.itemsize >= 4 else difference.float()).abs()
