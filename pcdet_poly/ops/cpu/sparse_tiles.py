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

from pcdet_poly.ops.arrays.register_tiles import ROWS, UNIT, WORD, add_products, pack_words
from pcdet_poly.ops.compiler.kernel import kernel
from pcdet_poly.structures.rulebook import Rulebook

NUMBERS_PER_BLOCK = 1 << 17  # of a block's result: 512 KiB, half of a second-level cache
LANES = UNIT.lanes
SHARES_PER_THREAD = 8  # of the blocks, which have unequal numbers of pairs

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


def convolve(
    features: Tensor,
    weight: Tensor,
    rulebook: Rulebook,
    bias: Tensor | None = None,
    residual: Tensor | None = None,
    *,
    is_cut_off: bool = False,
) -> Tensor:
    """Convolve features on active cells.

    Args:
        features: (V, C) of the input's cells.
        weight: (K, C, C'), of the same type.
        rulebook: of the convolution.
        bias: (C',) float32 to add.
        residual: (V', C') of the features' type, to add.
        is_cut_off: whether zero takes the place of negative results.

    Returns:
        (V', C') of the output's cells, of that type; rounded once.
    """
    ends = (rulebook.input, rulebook.output, rulebook.start, len(rulebook.sites))
    return _multiply_pairs(features, weight, *ends, bias, residual, is_cut_off=is_cut_off)


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
    values: Tensor,
    weight: Tensor,
    sources: Tensor,
    targets: Tensor,
    start: tuple[int, ...],
    num_rows: int,
    bias: Tensor | None = None,
    residual: Tensor | None = None,
    *,
    is_cut_off: bool = False,
) -> Tensor:
    """Add values[source] @ weight[k] to row `target` of the result (num_rows, C'), for the pairs of each element k."""
    width = weight.shape[2]
    result = values.new_empty(num_rows, width)
    edges, cuts = _cut_into_blocks(targets, start, num_rows, width)
    pairs = (_view_words(values), sources.numpy(), targets.numpy(), _pack_matrices(weight), edges, cuts)
    first = torch.zeros(width) if bias is None else bias.detach().float()
    ends = (_view_bits(result[:0] if residual is None else residual), is_cut_off, _view_bits(result))

    def compute_blocks(blocks: Array) -> None:
        value_rows, total_rows = (np.empty(_count_most_pairs(cuts) + ROWS, np.int64) for _ in range(2))
        total = torch.empty(int(np.diff(edges).max()), width).numpy()
        rooms = (value_rows, total_rows, total, _make_spare_rows(total))
        _compute_blocks(*pairs, blocks, first.numpy(), *rooms, *ends)

    _run_each(partial(compute_blocks, blocks) for blocks in _share_out(len(edges) - 1, SHARES_PER_THREAD))
    return result


def _correlate_pairs(features: Tensor, others: Tensor, rulebook: Rulebook) -> Tensor:
    """Sum the outer products of paired rows of features (V, C) and others (V', C') by element: (K, C, C') float32."""
    num_elements, channels = len(rulebook.start) - 1, features.shape[1]
    product = torch.zeros(num_elements, channels, others.shape[1])
    numbers_per_cell = channels + others.shape[1]
    _, cuts = _cut_into_blocks(rulebook.output, rulebook.start, len(rulebook.sites), numbers_per_cell)
    given = (_view_words(features[:1]), _view_bits(features), _view_bits(others))
    pairs, most_pairs = (rulebook.input.numpy(), rulebook.output.numpy()), _count_most_pairs(cuts)

    def correlate(elements: Array) -> None:
        spare = _make_spare_rows(product[0].numpy())
        _correlate_rows(*given, *pairs, cuts, elements, most_pairs, product.numpy(), spare)

    shares = _share_out(num_elements, 1) if len(cuts) > 2 else [np.arange(num_elements)]  # a block is not worth threads
    _run_each(partial(correlate, elements) for elements in shares)
    return product


def _cut_into_blocks(rows: Tensor, start: tuple[int, ...], num_rows: int, numbers_per_row: int) -> tuple[Array, Array]:
    """Cut rows into blocks by edges (E,), and the pairs of each kernel element by the blocks of their rows: (E, K)."""
    rows_per_block = max(NUMBERS_PER_BLOCK // numbers_per_row, 1)
    edges = np.append(np.arange(0, num_rows, rows_per_block, dtype=np.int32), np.int32(num_rows))
    return edges, np.stack([b + rows.numpy()[b:e].searchsorted(edges) for b, e in pairwise(start)], axis=1)


def _count_most_pairs(cuts: Array) -> int:
    """Count the pairs of the kernel element and block that have most."""
    return int(np.diff(cuts, axis=0).max(initial=0))


def _share_out(number: int, per_thread: int) -> list[Array]:
    """Share numbers out in runs, so many for each thread."""
    num_threads = torch.get_num_threads()
    num_shares = min(number, 1 if num_threads == 1 else num_threads * per_thread)
    return np.array_split(np.arange(number), num_shares) if number else []


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


def _make_spare_rows(total: Array) -> Array:
    """Make rows for the sums of a last tile that has fewer than ROWS."""
    return np.zeros((ROWS, total.shape[1]), np.float32)


def _pack_matrices(weight: Tensor) -> Array:
    """Cut matrices (K, C, C') into panels of a tile's width, in words as the values: (K, panels, words, width)."""
    num_elements, channels, width = weight.shape
    panel, per_word = _choose_num_vectors(width) * LANES, WORD // weight.element_size()
    packed = weight.new_empty(num_elements, width // panel, channels // per_word, panel, per_word)
    _copy_into_panels(_view_bits(weight), _view_bits(packed))
    return _view_words(packed)[..., 0]


@kernel
def _copy_into_panels(matrices: Array, packed: Array) -> None:
    """Copy matrices (K, C, C') to packed (K, panels, words, width, numbers of a word)."""
    num_elements, num_panels, num_words, panel, per_word = packed.shape
    for k in range(num_elements):
        for p in range(num_panels):
            for word in range(num_words):
                for j in range(panel):
                    for half in range(per_word):
                        packed[k, p, word, j, half] = matrices[k, word * per_word + half, p * panel + j]


@kernel
def _choose_num_vectors(width: int) -> int:
    """Choose how many registers a row's sums take: the most that divide it."""
    for num_vectors in (4, 2):
        if num_vectors <= UNIT.most_vectors and width % (num_vectors * LANES) == 0:
            return num_vectors
    return 1


@kernel
def _compute_blocks(
    values: Array,
    sources: Array,
    targets: Array,
    matrices: Array,
    edges: Array,
    cuts: Array,
    blocks: Array,
    bias: Array,
    value_rows: Array,
    total_rows: Array,
    total: Array,
    spare: Array,
    residual: Array,
    is_cut_off: bool,
    result: Array,
) -> None:
    """Compute rows edges[b] to edges[b + 1] of the result for each block b, by pairs cuts[b] to cuts[b + 1]."""
    for block in blocks:
        first, num_rows = edges[block], edges[block + 1] - edges[block]
        for i in range(num_rows):
            for c in range(total.shape[1]):
                total[i, c] = bias[c]
        begin, end = cuts[block], cuts[block + 1]
        _add_pairs(values, sources, targets, matrices, begin, end, value_rows, total_rows, total, first, spare)
        _write_rows(total[:num_rows], residual, is_cut_off, first, result)


@kernel
def _add_pairs(
    values: Array,
    sources: Array,
    targets: Array,
    matrices: Array,
    begin: Array,
    end: Array,
    value_rows: Array,
    total_rows: Array,
    total: Array,
    first_row: int,
    spare: Array,
) -> None:
    """Add values[source] @ matrices[k] to total[target - first_row], for the pairs begin[k] to end[k] of each k."""
    num_elements, num_panels, depth, width = matrices.shape
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
def _write_rows(total: Array, residual: Array, is_cut_off: bool, first: int, result: Array) -> None:
    """Write total (R, C') to the bits of result[first :], with those of residual[first :] added if it has any."""
    width = total.shape[1]
    bits, words = np.empty(width, np.uint32), total.view(np.uint32)
    wide = bits.view(np.float32)  # bfloat16 is the first half of float32
    for i in range(len(total)):
        row, word, target = total[i], words[i], result[first + i]
        if len(residual):
            source = residual[first + i]
            for c in range(width):
                bits[c] = np.uint32(source[c]) << np.uint32(8 * (WORD - result.itemsize))
            for c in range(width):
                row[c] += wide[c]
        if is_cut_off:
            for c in range(width):
                row[c] = np.float32(0) if row[c] < 0 else row[c]  # NaN stays
        if result.itemsize == WORD:
            for c in range(width):
                target[c] = word[c]
        else:
            for c in range(width):
                rounded = (word[c] + np.uint32(0x7FFF) + ((word[c] >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
                target[c] = rounded if row[c] == row[c] else np.uint32(0x7FC0)


@kernel
def _correlate_rows(
    kind: Array,
    values: Array,
    others: Array,
    sources: Array,
    targets: Array,
    cuts: Array,
    elements: Array,
    most_pairs: int,
    product: Array,
    spare: Array,
) -> None:
    """Add the outer products of values[source] and others[target] to product[k] (C, C'), block by block of `cuts`."""
    channels, width = product.shape[1:]
    panel, most_words = _choose_num_vectors(width) * LANES, most_pairs * values.itemsize // WORD + 1
    columns, panels = np.empty(channels * most_words, np.uint32), np.empty((most_words, panel), np.uint32)
    value_rows, total_rows = np.empty(channels + ROWS, np.int64), np.empty(channels + ROWS, np.int64)
    group, zeros = most_words * LANES * WORD, np.zeros(max(channels, width), values.dtype)
    for c in range(channels + ROWS):  # the last tile may lack channels
        at = c if c < channels else 0
        value_rows[c] = np.int64(columns.ctypes.data) + at // LANES * group + at % LANES * WORD
    for block in range(len(cuts) - 1):
        for k in elements:
            begin, end = cuts[block, k], cuts[block + 1, k]
            if begin == end:
                continue
            for c in range(channels + ROWS):
                total_rows[c] = np.int64(spare.ctypes.data if c >= channels else product[k, c].ctypes.data)
            depth = _pack_rows(values, sources[begin:end], 0, zeros, columns, channels // LANES, LANES * WORD, group)
            for start in range(0, width, panel):
                line = panel * WORD
                _pack_rows(others, targets[begin:end], start, zeros, panels, panel // LANES, line, LANES * WORD)
                for first in range(0, channels, ROWS):
                    _add_tile(kind, value_rows, total_rows, first, start * WORD, panels, depth, LANES * WORD)


@kernel
def _pack_rows(
    values: Array, rows: Array, first: int, zeros: Array, packed: Array, num_vectors: int, line: int, step: int
) -> int:
    """Write values[row, first :] into words, those of two rows in one if they are bfloat16.

    Args:
        values: (V, C) bits.
        rows: (N,) int32.
        first: column to begin with.
        zeros: (C or more,) bits of what a last row without another one meets.
        packed: uint32 of any shape.
        num_vectors: how many vectors of a row are wanted.
        line: bytes from the words of a row, or of two, to those of the next in `packed`.
        step: bytes from one vector of them to the next.

    Returns:
        How many rows of words there are.
    """
    per_word = WORD // values.itemsize
    num_words, start = -(-len(rows) // per_word), np.int64(values.ctypes.data) + first * values.itemsize
    length = values.shape[1] * values.itemsize
    for word in range(num_words):
        one, other = start + rows[word * per_word] * length, np.int64(zeros.ctypes.data)
        if per_word == 2 and word * per_word + 1 < len(rows):
            other = start + rows[word * per_word + 1] * length
        pack_words(values, one, other, np.int64(packed.ctypes.data) + word * line, num_vectors, step)
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
