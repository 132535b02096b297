"""Sparse convolution in bfloat16 by columns: all that a cell reads, or all that reads it, side by side.

One matrix product for each block of cells has all kernel elements in it; where a neighbour is missing, zeros. In
bfloat16 these multiplications cost less than adding row by row does. The cells are the outputs, or the inputs where
these are fewer.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from pcdet_poly.ops.compiler.kernel import kernel
from pcdet_poly.structures.rulebook import Rulebook

CELLS_PER_BLOCK = 1024


def convolve(features: Tensor, weight: Tensor, rulebook: Rulebook) -> Tensor:
    """Convolve bfloat16 features on active cells.

    Args:
        features: (V, C) bfloat16 of the input's cells.
        weight: (K, C, C') bfloat16.
        rulebook: of the convolution.

    Returns:
        (V', C') bfloat16 of the output's cells.
    """
    if _has_fewer_inputs(rulebook):
        spread = _multiply_and_add(features, rulebook.readers, weight.transpose(0, 1).flatten(1), len(rulebook.sites))
        return spread.to(features.dtype)
    return _gather_and_multiply(features, rulebook.neighbours, weight.flatten(0, 1))


def compute_gradients(
    to_result: Tensor, features: Tensor, weight: Tensor, rulebook: Rulebook, *, with_features: bool
) -> tuple[Tensor | None, Tensor]:
    """Compute the gradients of a convolution of bfloat16 features.

    Args:
        to_result: (V', C') bfloat16 gradient of the result.
        features: (V, C) bfloat16 of the input's cells.
        weight: (K, C, C') bfloat16.
        rulebook: of the convolution.
        with_features: whether the features' gradient is needed.

    Returns:
        Gradients of the features (V, C), or None, and of the weight (K, C, C').
    """
    to_features: Tensor | None = None
    if _has_fewer_inputs(rulebook):
        table, back = rulebook.readers, weight.transpose(1, 2)  # (K, C', C)
        if with_features:
            to_features = _gather_and_multiply(to_result, table, back.flatten(0, 1))
        to_weight = _correlate(to_result, table, features).view(back.shape).transpose(1, 2)
    else:
        table = rulebook.neighbours
        if with_features:
            to_features = _multiply_and_add(to_result, table, weight.flatten(0, 1).T, rulebook.num_inputs)
        to_weight = _correlate(features, table, to_result).view(weight.shape)
    return to_features, to_weight


def _has_fewer_inputs(rulebook: Rulebook) -> bool:
    return rulebook.num_inputs < len(rulebook.sites)


def _gather_and_multiply(values: Tensor, table: Tensor, matrix: Tensor) -> Tensor:
    """Multiply the columns of values (V, C), by table (M, K), by a matrix (K * C, C'): (M, C')."""
    result = values.new_empty(len(table), matrix.shape[1])
    room = _make_room(values, table, len(matrix))
    for cells, rows in _iterate_blocks(table):
        torch.mm(_gather_columns(values, rows, room), matrix, out=result[cells])
    return result


def _multiply_and_add(values: Tensor, table: Tensor, matrix: Tensor, num_rows: int) -> Tensor:
    """Multiply values (M, C') by a matrix (C', K * C); add its columns to rows by table (M, K).

    The result is (num_rows, C) float32.
    """
    total = torch.zeros(num_rows, matrix.shape[1] // table.shape[1])
    room = _make_room(values, table, matrix.shape[1])
    for cells, rows in _iterate_blocks(table):
        columns = torch.mm(values[cells], matrix, out=room[: len(rows)])
        _add_columns(total.numpy(), rows, _view_bits(columns))
    return total


def _correlate(values: Tensor, table: Tensor, others: Tensor) -> Tensor:
    """Multiply the columns of values (V, C), by table (M, K), transposed, by others (M, C'): (K * C, C') float32.

    Sums over blocks are float32, products of one block are rounded to bfloat16.
    """
    product = values.new_empty(table.shape[1] * values.shape[1], others.shape[1])
    total, room = torch.zeros(product.shape), _make_room(values, table, len(product))
    for cells, rows in _iterate_blocks(table):
        total += torch.mm(_gather_columns(values, rows, room).T, others[cells], out=product)
    return total


def _make_room(values: Tensor, table: Tensor, numbers_per_cell: int) -> Tensor:
    return values.new_empty(min(CELLS_PER_BLOCK, len(table)), numbers_per_cell)


def _iterate_blocks(table: Tensor) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield which cells a block has, and their rows of the table."""
    rows: np.ndarray = table.numpy()
    for first in range(0, len(rows), CELLS_PER_BLOCK):
        cells = slice(first, first + CELLS_PER_BLOCK)
        yield cells, rows[cells]


def _gather_columns(values: Tensor, rows: np.ndarray, room: Tensor) -> Tensor:
    """Write the values (V, C) that each cell has in rows (M, K) side by side into the beginning of `room`."""
    columns = room[: len(rows)]
    _copy_columns(_view_bits(values), rows, _view_bits(columns))
    return columns


def _view_bits(tensor: Tensor) -> np.ndarray:
    """View bfloat16, which numpy lacks, as uint16."""
    bits: np.ndarray = tensor.view(torch.uint16).numpy()
    return bits


@kernel
def _copy_columns(values: np.ndarray, table: np.ndarray, columns: np.ndarray) -> None:
    """Copy values[table[i, k]] (V, C) to columns[i, k * C :] for table (M, K) int32; zeros where it is negative."""
    width = values.shape[1]
    for i in range(len(table)):
        for k in range(table.shape[1]):
            target, row = columns[i, k * width : (k + 1) * width], table[i, k]
            if row < 0:
                for c in range(width):
                    target[c] = 0
            else:
                source = values[row]
                for c in range(width):
                    target[c] = source[c]


@kernel
def _add_columns(total: np.ndarray, table: np.ndarray, columns: np.ndarray) -> None:
    """Add columns[i, k * C :], bits of bfloat16, to total[table[i, k]] (V, C) float32, where that is not negative."""
    width = total.shape[1]
    bits = np.empty(width, np.uint32)
    wide = bits.view(np.float32)  # bfloat16 is the first half of float32
    for i in range(len(table)):
        for k in range(table.shape[1]):
            if table[i, k] >= 0:
                source, target = columns[i, k * width : (k + 1) * width], total[table[i, k]]
                for c in range(width):
                    bits[c] = np.uint32(source[c]) << np.uint32(16)
                for c in range(width):
                    target[c] += wide[c]
