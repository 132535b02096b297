"""Sparse convolution by spconv's kernels (optional package) from our rules and with our weights.

Made for GPUs. On a CPU spconv 2.3.8 adds wrongly with more than one thread and cannot go backward: only
tests and benchmarks call it there, forward, on one thread.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pcdet_poly.errors import UserError


class Pairs(NamedTuple):
    """Rules as spconv takes them."""

    rows: Tensor  # (2, K, longest) int32: input and output rows of each kernel element, -1 beyond its last
    per_element: Tensor  # (K,) int32


def pairs_of(inputs: Tensor, outputs: Tensor, start: tuple[int, ...]) -> Pairs:
    """Input and output rows (M,), element k's from start[k] to start[k + 1] -> spconv's table of pairs."""
    count = torch.tensor(start).diff()
    place = torch.arange(int(count.max())) < count[:, None]  # (K, longest)
    rows = inputs.new_full((2, *place.shape), -1)
    place = place.to(inputs.device)
    rows[0][place], rows[1][place] = inputs, outputs
    return Pairs(rows, count.int().to(inputs.device))


def convolve(features: Tensor, weight: Tensor, pairs: Pairs, num_outputs: int) -> Tensor:
    """Features (V, C), weight (C', kz, ky, kx, C) -> (V', C'), with gradients on a GPU."""
    try:
        from spconv.core import ConvAlgo
        from spconv.pytorch.functional import indice_conv
    except ImportError:
        raise UserError(
            "sparse_backend: spconv is not installed; pip install a wheel for your CUDA (spconv-cu126), or use torch"
        ) from None
    result: Tensor = indice_conv(features, weight, pairs.rows, pairs.per_element, num_outputs, ConvAlgo.Native)
    return result
