"""Gaussian peaks into a heatmap in Triton: one program per object; the highest wins by integer atomics."""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
# (Triton's kernels take blocks, for which there is no type.)
from __future__ import annotations

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor


def draw_heatmap(frame: Tensor, label: Tensor, x: Tensor, y: Tensor, radius: Tensor, shape: Sequence[int]) -> Tensor:
    """Draw peaks into a heatmap; see ops/heatmap.py.

    Args:
        frame: (N,) int64, which frame's map.
        label: (N,) int64, which class's map.
        x: (N,) int64, column of the peak.
        y: (N,) int64, row of the peak.
        radius: (N,) int64 cells.
        shape: B, K, H, W.

    Returns:
        (B, K, H, W) float32.
    """
    heatmap = torch.zeros(tuple(shape), device=frame.device)
    if len(frame):
        _draw_peaks[(len(frame),)](
            heatmap.view(torch.int32), frame, label, x, y, radius, *shape, BLOCK=128, enable_fp_fusion=False
        )
    return heatmap


@triton.jit
def _draw_peaks(heatmap, frame, label, x, y, radius, num_frames, num_classes, height, width, BLOCK: tl.constexpr):
    i = tl.program_id(0)
    b, k, reach = tl.load(frame + i), tl.load(label + i), tl.load(radius + i)
    x0, y0 = tl.load(x + i), tl.load(y + i)
    drawn = (b >= 0) & (b < num_frames) & (k >= 0) & (k < num_classes) & (reach >= 0)
    side = tl.where(drawn, 2 * reach + 1, 0)
    sigma = (2.0 * reach.to(tl.float64) + 1.0) / 6.0
    for begin in range(0, side * side, BLOCK):
        cell = begin + tl.arange(0, BLOCK)
        dy, dx = cell // side - reach, cell % side - reach
        inside = (cell < side * side) & (y0 + dy >= 0) & (y0 + dy < height) & (x0 + dx >= 0) & (x0 + dx < width)
        value = tl.exp(-(dx * dx + dy * dy).to(tl.float64) / (2.0 * sigma * sigma)).to(tl.float32)
        place = ((b * num_classes + k) * height + y0 + dy) * width + x0 + dx
        # Positive floats are ordered as their bits are.
        tl.atomic_max(heatmap + place, value.to(tl.int32, bitcast=True), mask=inside, sem="relaxed")
