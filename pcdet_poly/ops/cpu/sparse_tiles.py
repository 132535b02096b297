"""Sparse convolution by tiles of six pairs whose sums stay in vector registers: float32, and bfloat16 where it is fast.

Blocks of result rows, and kernel elements of the weight's gradient, share nothing that is written, so that threads take
one each and every sum has one order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from pcdet_poly.ops.arrays.register_tiles import ROWS, UNIT, WORD, add_products
from pcdet_poly.ops.compiler.kernel import kernel
from pcdet_poly.structures.rulebook import Rulebook

NUMBERS_PER_BLOCK = 1 << 17  # of a block's result: 512 KiB, half of a second-level cache
LANES = UNIT.lanes

Array = np.ndarray


def can_convolve(features: Tensor, weight: Tensor) -> bool:
    """Tell whether this machine computes a convolution, and its gradients, by tiles.

    Args:
        features: (V, C) of the input's cells.
        weight: (K, C, C'), of the same type.

    Returns:
        Whether C and C' fill whole registers, of a type that the processor has fast instructions for.
    """
    if features.dtype not in (torch.float32, torch.bfloat16) or not UNIT.most_vectors:
        return False
    is_fast = features.dtype == torch.float32 or UNIT.has_bfloat16
    return is_fast and weight.shape[1] % LANES == 0 and weight.shape[2] % LANES == 0


def convolve(features: Tensor, weight: Tensor, rulebook: Rulebook) -> Tensor:
    """Convolve features on active cells.

    Args:
        features: (V, C) of the input's cells.
        weight: (K, C, C'), of the same type.
        rulebook: of the convolution.

    Returns:
        (V', C') of the output's cells, of that type.
    """
    return _multiply_pairs(features, weight, rulebook.input, rulebook.output, rulebook.start, len(rulebook.sites))


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
        Gradients of the features (V, C), or None, of their type, and of the weight (K, C, C') float32.
    """
    to_features: Tensor | None = None
    if with_features:
        ends = (rulebook.output, rulebook.input, rulebook.start, rulebook.num_inputs)
        to_features = _multiply_pairs(to_result, weight.transpose(1, 2), *ends)
    return to_features, _correlate_pairs(features, to_result, rulebook)


def _multiply_pairs(
    values: Tensor, weight: Tensor, sources: Tensor, targets: Tensor, start: tuple[int, ...], num_rows: int
) -> Tensor:
    """Add values[source] @ weight[k] to row `target` of the result (num_rows, C'), for the pairs of each element k."""
    result = values.new_zeros(num_rows, weight.shape[2])
    edges, cuts = _cut_into_blocks(targets, start, num_rows, weight.shape[2])
    given = (_view_words(values), sources.numpy(), targets.numpy(), _pack_matrices(weight), _count_most_pairs(cuts))

    def compute_block(block: int) -> None:
        rows = result[edges[block] : edges[block + 1]]
        total = rows if rows.dtype == torch.float32 else torch.zeros(rows.shape)
        _add_pairs(*given, cuts[block], cuts[block + 1], total.numpy(), int(edges[block]), _make_spare_rows(total))
        if total is not rows:
            rows.copy_(total)

    _run_each(partial(compute_block, block) for block in range(len(edges) - 1))
    return result


def _correlate_pairs(features: Tensor, others: Tensor, rulebook: Rulebook) -> Tensor:
    """Sum the outer products of paired rows of features (V, C) and others (V', C') by element: (K, C, C') float32."""
    num_elements, channels = len(rulebook.start) - 1, features.shape[1]
    product = torch.zeros(num_elements, channels, others.shape[1])
    numbers_per_cell = channels + others.shape[1]
    _, cuts = _cut_into_blocks(rulebook.output, rulebook.start, len(rulebook.sites), numbers_per_cell)
    given = (_view_words(features[:1]), _view_bits(features), _view_bits(others))
    pairs, most_pairs = (rulebook.input.numpy(), rulebook.output.numpy()), _count_most_pairs(cuts)
    num_threads = min(torch.get_num_threads(), num_elements, max(len(cuts) - 1, 1))  # a block is not worth threads
    shares = np.array_split(np.arange(num_elements), num_threads)
    _run_each(
        partial(
            _correlate_rows,
            *given,
            *pairs,
            cuts[:, each].copy(),
            most_pairs,
            product[each].numpy(),
            _make_spare_rows(others),
        )
        for each in (slice(share[0], share[-1] + 1) for share in shares)
    )
    return product


def _cut_into_blocks(rows: Tensor, start: tuple[int, ...], num_rows: int, numbers_per_row: int) -> tuple[Array, Array]:
    """Cut rows into blocks by edges (E,), and the pairs of each kernel element by the blocks of their rows: (E, K)."""
    rows_per_block = max(NUMBERS_PER_BLOCK // numbers_per_row, 1)
    edges = np.arange(0, num_rows + rows_per_block, rows_per_block, dtype=np.int32)
    return edges, np.stack([b + rows.numpy()[b:e].searchsorted(edges) for b, e in pairwise(start)], axis=1)


def _count_most_pairs(cuts: Array) -> int:
    """Count the pairs of the kernel element and block that have most."""
    return int(np.diff(cuts, axis=0).max(initial=0))


def _run_each(tasks: Iterable[Callable[[], None]]) -> None:
    """Run tasks that write to different places, on as many threads as torch has."""
    each = tuple(tasks)
    num_threads = min(torch.get_num_threads(), len(each))
    if num_threads < 2:
        for task in each:
            task()
        return
    is_inference = torch.is_inference_mode_enabled()
    with ThreadPoolExecutor(num_threads) as pool:
        for running in [pool.submit(_run_in_mode, task, is_inference) for task in each]:
            running.result()


def _run_in_mode(task: Callable[[], None], is_inference: bool) -> None:
    """Run a task in the mode of the thread that started this one: torch keeps it by thread."""
    with torch.inference_mode(is_inference):
        task()


def _view_words(tensor: Tensor) -> Array:
    """View float32 as it is, and pairs of bfloat16 as int32."""
    words = tensor.detach() if tensor.dtype == torch.float32 else tensor.detach().view(torch.int32)
    array: Array = words.numpy()
    return array


def _view_bits(tensor: Tensor) -> Array:
    """View float32 as uint32, and bfloat16 as uint16."""
    bits: Array = tensor.detach().view(torch.uint32 if tensor.dtype == torch.float32 else torch.uint16).numpy()
    return bits


def _make_spare_rows(total: Tensor) -> Array:
    """Make rows for the sums of a last tile that has fewer than ROWS."""
    return np.zeros((ROWS, total.shape[1]), np.float32)


def _pack_matrices(weight: Tensor) -> Array:
    """Cut matrices (K, C, C') into panels of a tile's width, in words as the values: (K, panels, words, width)."""
    num_elements, channels, width = weight.shape
    panel, per_word = _choose_num_vectors(width) * LANES, WORD // weight.element_size()
    cut = weight.reshape(num_elements, channels // per_word, per_word, width // panel, panel)
    return _view_words(cut.permute(0, 3, 1, 4, 2).contiguous())[..., 0]


@kernel
def _choose_num_vectors(width: int) -> int:
    """Choose how many registers a row's sums take: the most that divide it."""
    for num_vectors in (4, 2):
        if num_vectors <= UNIT.most_vectors and width % (num_vectors * LANES) == 0:
            return num_vectors
    return 1


@kernel
def _add_pairs(
    values: Array,
    sources: Array,
    targets: Array,
    matrices: Array,
    most_pairs: int,
    begin: Array,
    end: Array,
    total: Array,
    first_row: int,
    spare: Array,
) -> None:
    """Add values[source] @ matrices[k] to total[target - first_row], for the pairs begin[k] to end[k] of each k."""
    num_elements, num_panels, depth, width = matrices.shape
    value_rows, total_rows = np.empty(most_pairs + ROWS, np.int64), np.empty(most_pairs + ROWS, np.int64)
    for k in range(num_elements):
        num_pairs = end[k] - begin[k]
        for i in range(num_pairs):
            value_rows[i] = np.int64(values.ctypes.data) + sources[begin[k] + i] * depth * WORD
            total_rows[i] = np.int64(total.ctypes.data) + (targets[begin[k] + i] - first_row) * total.shape[1] * WORD
        for i in range(ROWS):  # what a last tile lacks
            value_rows[num_pairs + i] = np.int64(values.ctypes.data)
            total_rows[num_pairs + i] = np.int64(spare.ctypes.data)
        for panel in range(num_panels):
            matrix, shift = matrices[k, panel], panel * width * WORD
            for first in range(0, num_pairs, ROWS):
                _add_tile(values, value_rows, total_rows, first, shift, matrix, depth, WORD)


@kernel
def _correlate_rows(
    kind: Array,
    values: Array,
    others: Array,
    sources: Array,
    targets: Array,
    cuts: Array,
    most_pairs: int,
    product: Array,
    spare: Array,
) -> None:
    """Add the outer products of values[source] and others[target] to product[k] (C, C'), block by block of `cuts`."""
    num_elements, channels, width = product.shape
    panel, most_words = _choose_num_vectors(width) * LANES, most_pairs * values.itemsize // WORD + 1
    columns, panels = np.empty((most_words, channels), np.uint32), np.empty((most_words, panel), np.uint32)
    value_rows, total_rows = np.empty(channels + ROWS, np.int64), np.empty(channels + ROWS, np.int64)
    for c in range(channels + ROWS):  # the last tile may lack channels
        value_rows[c] = np.int64(columns.ctypes.data) + (c if c < channels else 0) * WORD
    for block in range(len(cuts) - 1):
        for k in range(num_elements):
            for c in range(channels + ROWS):
                total_rows[c] = np.int64(spare.ctypes.data if c >= channels else product[k, c].ctypes.data)
            begin, end = cuts[block, k], cuts[block + 1, k]
            depth = _pack_rows(values, sources[begin:end], 0, columns)
            for start in range(0, width, panel):
                _pack_rows(others, targets[begin:end], start, panels)
                for first in range(0, channels, ROWS):
                    _add_tile(kind, value_rows, total_rows, first, start * WORD, panels, depth, channels * WORD)


@kernel
def _pack_rows(values: Array, rows: Array, first: int, packed: Array) -> int:
    """Write values[row, first :] into words, those of two rows in one if they are bfloat16; return how many words."""
    per_word = WORD // values.itemsize
    num_words, width = -(-len(rows) // per_word), packed.shape[1]
    for i in range(num_words * per_word):
        target, shift = packed[i // per_word], np.uint32(16 * (i % per_word))
        if i >= len(rows):  # its word's first half is there
            continue
        source = values[rows[i], first : first + width]
        if shift:
            for c in range(width):
                target[c] |= np.uint32(source[c]) << shift
        else:
            for c in range(width):
                target[c] = source[c]
    return num_words


@kernel
def _add_tile(
    kind: Array, value_rows: Array, total_rows: Array, first: int, shift: int, matrix: Array, depth: int, step: int
) -> None:
    if matrix.shape[1] == 4 * LANES:
        add_products(kind, value_rows, total_rows, first, shift, matrix, depth, step, 4)
    elif matrix.shape[1] == 2 * LANES:
        add_products(kind, value_rows, total_rows, first, shift, matrix, depth, step, 2)
    else:
        add_products(kind, value_rows, total_rows, first, shift, matrix, depth, step, 1)
