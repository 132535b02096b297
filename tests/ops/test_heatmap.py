"""Gaussian peaks on every backend against the formula at every cell."""

from __future__ import annotations

import numpy as np
import torch

from pcdet_poly.ops.heatmap import draw_heatmap
from tests.tolerances import FLOAT32_VALUE


def naive(columns: np.ndarray, shape: tuple[int, int, int, int]) -> np.ndarray:
    heatmap = np.zeros(shape, np.float32)
    rows, cells = np.mgrid[: shape[2], : shape[3]]
    for frame, label, x, y, radius in columns.T:
        if 0 <= frame < shape[0] and 0 <= label < shape[1] and radius >= 0:
            dx, dy, sigma = cells - x, rows - y, (2 * radius + 1) / 6
            peak = np.exp(-(dx * dx + dy * dy) / (2 * sigma * sigma))
            peak[(abs(dx) > radius) | (abs(dy) > radius)] = 0
            heatmap[frame, label] = np.maximum(heatmap[frame, label], peak.astype(np.float32))
    return heatmap


def test_fuzz(device: str, num_trials: int) -> None:
    rng = np.random.default_rng(1)
    for _ in range(num_trials):
        size, shape = int(rng.integers(0, 6)), (2, 2, *map(int, rng.integers(1, 12, 2)))
        low, high = [[-1], [-1], [-4], [-4], [-1]], [[3], [3], [15], [15], [7]]
        columns = rng.integers(low, high, (5, size))
        heatmap = draw_heatmap(*torch.from_numpy(columns).to(device), shape)
        assert heatmap.dtype == torch.float32
        np.testing.assert_array_equal(heatmap.cpu().numpy(), naive(columns, shape))


def test_peaks_are_one_and_the_higher_wins(device: str) -> None:
    columns = torch.tensor([[0, 0], [0, 0], [2, 4], [1, 1], [2, 2]], device=device)
    line = draw_heatmap(*columns, (1, 1, 3, 8))[0, 0, 1].cpu()
    beside, two_away = np.exp(-1 / (2 * (5 / 6) ** 2)), np.exp(-4 / (2 * (5 / 6) ** 2))
    np.testing.assert_allclose(line, [two_away, beside, 1, beside, 1, beside, two_away, 0], rtol=FLOAT32_VALUE)


def test_radius_zero_is_one_cell(device: str) -> None:
    heatmap = draw_heatmap(*torch.tensor([[1], [0], [3], [2], [0]], device=device), (2, 1, 4, 5))
    assert heatmap.sum() == heatmap[1, 0, 2, 3] == 1
