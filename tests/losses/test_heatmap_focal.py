"""The heatmap loss against the two lines of its definition, cell by cell; compiled; and in memory."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from benchmarks.bench_losses import measure_peak_bytes, plain_focal_heatmap
from pcdet_poly import losses
from tests.tolerances import FLOAT64_CANCELLED


def _scene(dtype: torch.dtype = torch.float64, size: int = 6) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, size, size, generator=generator, dtype=dtype) * 3
    heatmap = torch.rand(2, 3, size, size, generator=generator, dtype=dtype) ** 8
    heatmap[0, 1, 2, 3] = heatmap[1, 0, 0, 0] = 1
    return logits, heatmap


def _by_definition(x: float, y: float, a: float, b: float, epsilon: float) -> float:
    p = 1 / (1 + math.exp(-x))
    if y == 1:
        return (1 - p) ** a * (-math.log(p) + epsilon * (1 - p))
    return (1 - y) ** b * p**a * (-math.log(1 - p) + epsilon * p)


@pytest.mark.parametrize(("alpha", "beta"), [(2.0, 4.0), (3.0, 4.0), (0.0, 1.0), (1.5, 0.0)])
@pytest.mark.parametrize("epsilon", [-1.0, 0.0, 0.7])
def test_every_cell_follows_the_definition(alpha: float, beta: float, epsilon: float) -> None:
    logits, heatmap = _scene()
    ours = losses.gaussian_poly1_focal(logits, heatmap, alpha=alpha, beta=beta, epsilon=epsilon)
    cells = zip(logits.flatten().tolist(), heatmap.flatten().tolist(), strict=True)
    wanted = [_by_definition(x, y, alpha, beta, epsilon) for x, y in cells]
    assert ours.flatten().tolist() == pytest.approx(wanted, rel=FLOAT64_CANCELLED, abs=8 * 2.0**-53)


def test_epsilon_0_is_the_plain_heatmap_focal_loss() -> None:
    logits, heatmap = _scene(torch.float32)
    torch.testing.assert_close(
        losses.gaussian_poly1_focal(logits, heatmap, epsilon=0.0), plain_focal_heatmap(logits, heatmap)
    )


def test_memory_layout_of_the_logits_does_not_matter() -> None:
    logits, heatmap = _scene()
    strided = logits.to(memory_format=torch.channels_last).requires_grad_()
    whole = losses.gaussian_poly1_focal(strided, heatmap, epsilon=-0.5)
    torch.testing.assert_close(whole, losses.gaussian_poly1_focal(logits, heatmap, epsilon=-0.5))
    whole.sum().backward()
    assert strided.grad is not None


def test_inputs_are_left_as_they_were() -> None:
    logits, heatmap = _scene()
    before = logits.clone(), heatmap.clone()
    losses.gaussian_poly1_focal(logits, heatmap, epsilon=-1.0)
    assert torch.equal(logits, before[0])
    assert torch.equal(heatmap, before[1])


def test_forward_and_backward_take_at_most_the_memory_of_the_plain_loss() -> None:
    """The issue allows twice as much."""
    logits, heatmap = _scene(torch.float32, size=64)
    plain = measure_peak_bytes(plain_focal_heatmap, logits, heatmap)
    for epsilon in (-1.0, 0.0, 1.0):
        ours = measure_peak_bytes(lambda x, y, e=epsilon: losses.gaussian_poly1_focal(x, y, epsilon=e), logits, heatmap)
        assert ours <= plain
