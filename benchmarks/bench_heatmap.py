"""Peaks of 800 objects on heatmaps of 4 frames, 3 classes, 468 x 468 cells: ours and numpy, object by object.

python -m benchmarks.bench_heatmap [--device cuda] [--threads N] [--json]
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from benchmarks.common import Row, main, median_ms, memory_floor_ms
from pcdet_poly.ops.heatmap import draw_heatmap

SHAPE = (4, 3, 468, 468)
NUM_OBJECTS = 800


def draw_by_numpy(columns: np.ndarray) -> np.ndarray:
    """One object after the other, as public suites draw."""
    heatmap = np.zeros(SHAPE, np.float32)
    for frame, label, x, y, radius in columns.T:
        offset = np.arange(-radius, radius + 1)
        sigma = (2 * radius + 1) / 6
        peak = np.exp(-(offset[:, None] ** 2 + offset**2) / (2 * sigma * sigma)).astype(np.float32)
        top, left = max(y - radius, 0), max(x - radius, 0)
        window = heatmap[frame, label, top : y + radius + 1, left : x + radius + 1]
        peak = peak[top - y + radius :, left - x + radius :][: window.shape[0], : window.shape[1]]
        np.maximum(window, peak, out=window)
    return heatmap


def draw_objects(device: str) -> Tensor:
    """(5, N) int64 frame, label, x, y, radius."""
    high = [[SHAPE[0]], [SHAPE[1]], [SHAPE[3]], [SHAPE[2]], [6]]
    columns = np.random.default_rng(0).integers([[0], [0], [0], [0], [2]], high, (5, NUM_OBJECTS))
    return torch.from_numpy(columns).to(device)


def rows(device: str) -> Iterator[Row]:
    """Drawing, and filling the maps with zeros."""
    columns = draw_objects(device)
    host = columns.cpu().numpy()
    np.testing.assert_array_equal(draw_heatmap(*columns, SHAPE).cpu().numpy(), draw_by_numpy(host))
    ours = median_ms(lambda: draw_heatmap(*columns, SHAPE), device)
    yield Row("draw_heatmap: ours", ours, f"{NUM_OBJECTS} objects")
    peer = median_ms(lambda: draw_by_numpy(host))
    yield Row("numpy, object by object", peer, f"{peer / ours:.1f} x ours")
    yield Row("zeros of that shape", median_ms(lambda: torch.zeros(SHAPE, device=device), device))
    yield Row("memory floor, maps written", memory_floor_ms(2 * 4 * int(np.prod(SHAPE)), device) / 2)


if __name__ == "__main__":
    main(__doc__, rows)
