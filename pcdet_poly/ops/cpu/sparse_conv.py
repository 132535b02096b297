"""Sparse convolution on the CPU: by tiles in vector registers, or float32 by pairs and bfloat16 by columns.

All go by blocks of cells, whose rows of features and of the result stay in the processor's cache while all kernel
elements pass over them.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pcdet_poly.ops.compiler.kernel import kernel
from pcdet_poly.ops.cpu import sparse_columns, sparse_tiles
from pcdet_poly.structures.rulebook import Rulebook

NUMBERS_PER_BLOCK = 1 << 18  # of a block's result: 1 MiB of float32


class _Tile(NamedTuple):
    element: int
    inputs: Tensor  # (M,) int32 rows of the convolution's input
    outputs: Tensor  # (M,) int32 rows of its output


def convolve(features: Tensor, weight: Tensor, rulebook: Rulebook) -> Tensor:
    """Convolve features on active cells.

    Args:
        features: (V, C) of the input's cells.
        weight: (K, C, C'), of the same type.
        rulebook: of the convolution.

    Returns:
        (V', C') of the output's cells, of that type.
    """
    if sparse_tiles.can_convolve(features, weight):
        return sparse_tiles.convolve(features, weight, rulebook)
    weight = weight.contiguous()
    if features.dtype == torch.bfloat16:
        return sparse_columns.convolve(features, weight, rulebook)
    result = features.new_zeros(len(rulebook.sites), weight.shape[2])
    if rulebook.centre is not None:
        torch.mm(features, weight[rulebook.centre], out=result)
    gathered, products = _make_rooms(features, rulebook, *weight.shape[1:])
    for k, inputs, outputs in _iterate_tiles(rulebook, len(gathered)):
        values = _gather_rows(features, inputs, gathered)
        _add_rows(result.numpy(), outputs.numpy(), torch.mm(values, weight[k], out=products[: len(values)]).numpy())
    return result


def convolve_to_relu(
    features: Tensor, weight: Tensor, rulebook: Rulebook, bias: Tensor, residual: Tensor | None
) -> Tensor:
    """Convolve features on active cells, add, and let zero take the place of negative numbers.

    Args:
        features: (V, C) of the input's cells.
        weight: (K, C, C'), of the same type.
        rulebook: of the convolution.
        bias: (C',) to add.
        residual: (V', C') of the features' type, to add.

    Returns:
        (V', C') of the output's cells, of that type.
    """
    if sparse_tiles.can_convolve(features, weight):
        return sparse_tiles.convolve(features, weight, rulebook, bias, residual, is_cut_off=True)
    result = convolve(features, weight, rulebook).add_(bias)
    return (result if residual is None else result.add_(residual)).relu_()


def compute_gradients(
    to_result: Tensor, features: Tensor, weight: Tensor, rulebook: Rulebook, *, with_features: bool
) -> tuple[Tensor | None, Tensor]:
    """Compute the gradients of a convolution.

    Args:
        to_result: (V', C') gradient of the result.
        features: (V, C) of the input's cells.
        weight: (K, C, C').
        rulebook: of the convolution.
        with_features: whether the features' gradient is needed.

    Returns:
        Gradients of the features (V, C), or None, and of the weight (K, C, C').
    """
    if sparse_tiles.can_convolve(features, weight):
        return sparse_tiles.compute_gradients(to_result, features, weight, rulebook, with_features=with_features)
    weight = weight.contiguous()
    if features.dtype == torch.bfloat16:
        return sparse_columns.compute_gradients(to_result, features, weight, rulebook, with_features=with_features)
    to_weight, to_features = torch.zeros_like(weight), torch.zeros_like(features) if with_features else None
    if rulebook.centre is not None:
        torch.mm(features.T, to_result, out=to_weight[rulebook.centre])
        if to_features is not None:
            torch.mm(to_result, weight[rulebook.centre].T, out=to_features)
    gathered, upstream = _make_rooms(features, rulebook, *weight.shape[1:])
    products = torch.empty_like(gathered)
    for k, inputs, outputs in _iterate_tiles(rulebook, len(gathered)):
        gradient = _gather_rows(to_result, outputs, upstream)
        to_weight[k].addmm_(_gather_rows(features, inputs, gathered).T, gradient)
        if to_features is not None:
            values = torch.mm(gradient, weight[k].T, out=products[: len(gradient)])
            _add_rows(to_features.numpy(), inputs.numpy(), values.numpy())
    return to_features, to_weight


def convolve_by_spconv(features: Tensor, weight: Tensor, rulebook: Rulebook, package: str) -> Tensor | None:
    """Return None, so that ours run: spconv's kernels for the CPU are wrong, and spconv-triton has none.

    Args:
        features: (V, C) of the input's cells.
        weight: (C', kz, ky, kx, C).
        rulebook: of the convolution.
        package: whose kernels were asked for.

    Returns:
        None.
    """
    return None


def _make_rooms(features: Tensor, rulebook: Rulebook, channels: int, width: int) -> tuple[Tensor, Tensor]:
    """Make room for a tile's rows of features and of products; no element has more pairs than a block has cells."""
    rows = max(min(NUMBERS_PER_BLOCK // max(channels, width), len(rulebook.sites)), 1)
    return features.new_empty(rows, channels), features.new_empty(rows, width)


def _iterate_tiles(rulebook: Rulebook, cells_per_block: int) -> Iterator[_Tile]:
    """Yield the pairs of each kernel element in each block of output cells, without those of a submanifold's centre."""
    edges = np.arange(0, len(rulebook.sites) + cells_per_block, cells_per_block, dtype=np.int32)
    outputs = rulebook.output.numpy()
    cuts = [begin + outputs[begin:end].searchsorted(edges) for begin, end in pairwise(rulebook.start)]
    for block in range(len(edges) - 1):
        for k, cut in enumerate(cuts):
            pairs = slice(int(cut[block]), int(cut[block + 1]))
            if k != rulebook.centre and pairs.stop > pairs.start:
                yield _Tile(k, rulebook.input[pairs], rulebook.output[pairs])


def _gather_rows(values: Tensor, rows: Tensor, room: Tensor) -> Tensor:
    """Copy the chosen rows to the beginning of `room`."""
    return torch.index_select(values, 0, rows, out=room[: len(rows)])


@kernel
def _add_rows(total: np.ndarray, rows: np.ndarray, values: np.ndarray) -> None:
    """Add values[i] (M, C) to total[rows[i]] (V, C), for rows (M,) int32, none of which comes twice."""
    for i in range(len(rows)):
        row = rows[i]
        for c in range(values.shape[1]):
            total[row, c] += values[i, c]
