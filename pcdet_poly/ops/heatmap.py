"""Objects -> Gaussian peaks on a bird's-eye heatmap."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pcdet_poly.ops.dispatch import check_lengths, check_shape, define_operation, to_int_row


def draw_heatmap(
    frame: Tensor, label: Tensor, x: Tensor, y: Tensor, radius: Tensor, shape: tuple[int, int, int, int]
) -> Tensor:
    """Draw the peaks of N objects: at each cell the highest of the peaks that reach it.

    A peak is exp(-d^2 / (2 sigma^2)) with sigma = (2 radius + 1) / 6 in a square of +-radius cells, 1 at
    its centre; computed in float64, rounded to float32.

    Args:
        frame: (N,) int64, which frame's map; objects outside [0, B) are not drawn.
        label: (N,) int64, which class's map; objects outside [0, K) are not drawn.
        x: (N,) int64, column of the peak; it may lie outside the map.
        y: (N,) int64, row of the peak; it may lie outside the map.
        radius: (N,) int64 cells; an object with a negative radius is not drawn.
        shape: B, K, H, W.

    Returns:
        (B, K, H, W) float32.

    Raises:
        ValueError: shapes do not fit, or a column has no whole numbers.
    """
    named = {"frame": frame, "label": label, "x": x, "y": y, "radius": radius}
    for name, column in named.items():
        check_shape("draw_heatmap", name, column, "N", is_whole=True)
    check_lengths("draw_heatmap", **named)
    if len(shape) != 4 or min(shape) < 0:
        raise ValueError(f"draw_heatmap: shape {tuple(shape)} given, B, K, H, W needed, none negative")
    columns = [to_int_row(column) for column in (frame, label, x, y, radius)]
    return torch.ops.pcdet_poly.draw_heatmap(*columns, list(shape))


def _draw_fake(frame: Tensor, label: Tensor, x: Tensor, y: Tensor, radius: Tensor, shape: Sequence[int]) -> Tensor:
    return frame.new_empty(shape, dtype=torch.float32)


define_operation(
    "draw_heatmap(Tensor frame, Tensor label, Tensor x, Tensor y, Tensor radius, SymInt[] shape) -> Tensor",
    file="heatmap",
    fake=_draw_fake,
)
