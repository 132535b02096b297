"""Fixed inputs for the loss functions: what each takes before its settings, the first one to be differentiated."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

K = 3  # classes


def grid(dtype: torch.dtype = torch.float32) -> Tensor:
    """Logits (N, K): fine around 0, coarse beyond, with extremes."""
    extreme = torch.tensor([-1e4, -90.0, -17.5, 0.0, 17.5, 90.0, 1e4])
    steps = torch.cat([torch.linspace(-16, 16, 257), torch.linspace(-60, 60, 33), extreme])
    return torch.stack([steps, steps.flip(0), 0.5 * steps + 0.125], dim=1).to(dtype)


def turn(values: list[float], like: Tensor) -> Tensor:
    """A tensor of the shape of `like` that takes the values in turn."""
    return torch.tensor(values)[torch.arange(like.numel()) % len(values)].reshape(like.shape)


def sigmoid() -> Iterator[tuple[Tensor, ...]]:
    """Logits with hard targets, and with soft ones."""
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        logits = grid(dtype)
        yield logits, turn([0, 1, 1, 0], logits).bool()
        yield logits, turn([0.0, 0.1, 0.5, 0.9, 1.0], logits)


def hard() -> Iterator[tuple[Tensor, ...]]:
    """Logits with hard targets alone."""
    yield from (pair for pair in sigmoid() if pair[1].dtype == torch.bool)


def heatmap() -> Iterator[tuple[Tensor, ...]]:
    """Logits (N, K) with heats, some of which are peaks."""
    for dtype in (torch.float32, torch.float64):
        logits = grid(dtype)
        yield logits, turn([0.0, 0.1, 0.5, 0.99, 1.0], logits)


def maps() -> Iterator[tuple[Tensor, ...]]:
    """The same as images (1, K, N, 1)."""
    yield from ((logits.T[None, :, :, None].contiguous(), heat.T[None, :, :, None]) for logits, heat in heatmap())


def softmax() -> Iterator[tuple[Tensor, ...]]:
    """Logits (N, K) with class indices (N,), and with distributions (N, K)."""
    for dtype in (torch.float32, torch.float64):
        logits = grid(dtype)
        yield logits, torch.arange(len(logits)) % K
        parts = turn([0.0, 0.25, 0.5, 1.0], logits) + 0.125
        yield logits, parts / parts.sum(dim=1, keepdim=True)


def codes() -> Iterator[tuple[Tensor, ...]]:
    """Predicted and wanted box codes (N, 7), some of them equal."""
    prediction = torch.linspace(-4, 4, 7 * 33).reshape(33, 7)
    yield prediction, torch.where(torch.arange(33)[:, None] % 4 == 0, prediction, prediction.flip(0))


def differences() -> Iterator[tuple[Tensor, ...]]:
    """Differences of box codes (N, 7)."""
    yield (torch.linspace(-2, 2, 7 * 33).reshape(33, 7),)


def cells() -> Iterator[tuple[Tensor, ...]]:
    """Maps (2, K, 4, 5), frames (N,) and cells (N,), one of them twice."""
    yield torch.linspace(-1, 1, 2 * K * 20).reshape(2, K, 4, 5), torch.tensor([0, 1, 1, 0]), torch.tensor([3, 7, 7, 19])
