"""Gaussian peaks into a heatmap on the CPU, over numpy arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pcdet_poly.ops.compiler.kernel import kernel

Array = np.ndarray


def draw_heatmap(frame: Array, label: Array, x: Array, y: Array, radius: Array, shape: Sequence[int]) -> Array:
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
    heatmap = np.zeros(tuple(shape), np.float32)
    _draw_peaks(heatmap, frame, label, x, y, radius)
    return heatmap


@kernel
def _draw_peaks(heatmap: Array, frame: Array, label: Array, x: Array, y: Array, radius: Array) -> None:
    """Raise `heatmap` (B, K, H, W) float32 in place to the peaks (N,) wherever they are higher."""
    num_frames, num_classes, height, width = heatmap.shape
    for i in range(len(frame)):
        if not (0 <= frame[i] < num_frames and 0 <= label[i] < num_classes and radius[i] >= 0):
            continue
        plane = heatmap[frame[i], label[i]]
        sigma = (2.0 * radius[i] + 1.0) / 6.0
        for row in range(max(y[i] - radius[i], 0), min(y[i] + radius[i] + 1, height)):
            for column in range(max(x[i] - radius[i], 0), min(x[i] + radius[i] + 1, width)):
                square = np.float64((row - y[i]) ** 2 + (column - x[i]) ** 2)
                value = np.float32(np.exp(-square / (2.0 * sigma * sigma)))
                plane[row, column] = max(plane[row, column], value)
