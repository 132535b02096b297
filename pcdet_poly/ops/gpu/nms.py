"""Greedy suppression of boxes in Triton.

First a matrix of bits, on all processors: which box would suppress which later one. Most pairs are far
apart, so pairs that may meet are listed first and only they are measured. Then one program walks down the
matrix, 64 boxes at a time, as the greedy rule demands.
"""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
# (Triton's kernels take blocks, for which there is no type.)
from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from pcdet_poly.ops.gpu.overlap import COLUMNS, prepare_boxes, prepared_pair_iou

BITS = tl.constexpr(64)  # of a word, and boxes per step of the walk
TILE = 32  # boxes x boxes that one program looks at
LONGEST_LIST = 1 << 23  # pairs, 32 MB: all pairs of 4096 boxes at once
PROGRAMS = 1024


def suppress_overlapping(box: Tensor, group: Tensor, threshold: Tensor) -> Tensor:
    """Mark the boxes to keep.

    A box goes if its bird's-eye IoU (float32) with a kept one before it exceeds its threshold.

    Args:
        box: (N, 7) float32 by descending score.
        group: (N,) int64; only boxes of one group suppress each other.
        threshold: (N,) float32 threshold of each box.

    Returns:
        (N,) bool, True where kept.
    """
    num_boxes, boxes, suppresses = len(box), prepare_boxes(box), _allocate_bits(box)
    rows = max(LONGEST_LIST // max(num_boxes, 1) // TILE, 1) * TILE
    pairs = torch.empty(min(rows, num_boxes) * num_boxes, dtype=torch.int32, device=box.device)
    for first in range(0, num_boxes, rows):
        num_pairs = torch.zeros(1, dtype=torch.int32, device=box.device)
        tiles = (triton.cdiv(min(rows, num_boxes - first), TILE), triton.cdiv(num_boxes - first, TILE))
        _list_pairs[tiles](
            boxes, group, threshold, pairs, num_pairs, num_boxes, first, TILE=TILE, enable_fp_fusion=False
        )
        programs = min(PROGRAMS, triton.cdiv(len(pairs), 128))
        _measure_pairs[(programs,)](
            boxes, threshold, pairs, num_pairs, suppresses, num_boxes, first, BLOCK=128, enable_fp_fusion=False
        )
    return _select_kept(suppresses, num_boxes)


def suppress_near(centre: Tensor, group: Tensor, radius_m: Tensor) -> Tensor:
    """Mark the boxes to keep.

    A box goes if the centre of a kept one before it lies near its own.

    Args:
        centre: (N, 2) float32, metres, by descending score.
        group: (N,) int64; only boxes of one group suppress each other.
        radius_m: (N,) float32, how near, for each box.

    Returns:
        (N,) bool, True where kept.
    """
    num_boxes, suppresses = len(centre), _allocate_bits(centre)
    if num_boxes:
        tiles = (triton.cdiv(num_boxes, TILE), suppresses.shape[1])
        _mark_near[tiles](centre, group, radius_m, suppresses, num_boxes, TILE=TILE, enable_fp_fusion=False)
    return _select_kept(suppresses, num_boxes)


def _allocate_bits(box: Tensor) -> Tensor:
    """Allocate (N padded, words) int64 zeros.

    Bit j of row i will say that box i suppresses box j, if it is kept itself.
    """
    num_words = triton.cdiv(len(box), BITS.value)
    return torch.zeros(num_words * BITS.value, num_words, dtype=torch.int64, device=box.device)


def _select_kept(suppresses: Tensor, num_boxes: int) -> Tensor:
    keep = torch.empty(num_boxes, dtype=torch.bool, device=suppresses.device)
    if num_boxes:
        num_words = suppresses.shape[1]
        _keep_greedily[(1,)](
            suppresses,
            keep.view(torch.uint8),
            num_boxes,
            num_words,
            WORDS=triton.next_power_of_2(num_words),
            num_warps=8,
        )
    return keep


@triton.jit
def _list_pairs(boxes, group, iou, pairs, num_pairs, num_boxes, first, TILE: tl.constexpr):
    """Append (i - first) * num_boxes + j to `pairs` for i < j of one group whose circles meet and areas are alike."""
    if tl.program_id(1) >= tl.program_id(0):
        i = (first + tl.program_id(0) * TILE + tl.arange(0, TILE))[:, None]
        j = (first + tl.program_id(1) * TILE + tl.arange(0, TILE))[None, :]
        xi, yi, radius_i, area_i = _load_circle(boxes, i, num_boxes)
        xj, yj, radius_j, area_j = _load_circle(boxes, j, num_boxes)
        dx, dy, reach = xi - xj, yi - yj, radius_i + radius_j
        meet = (i < j) & (j < num_boxes) & (dx * dx + dy * dy < reach * reach)
        least = 0.999999 * tl.load(iou + j, mask=j < num_boxes, other=0.0).to(tl.float64)
        meet = meet & (tl.minimum(area_i, area_j) >= least * tl.maximum(area_i, area_j))
        meet = meet & (
            tl.load(group + i, mask=i < num_boxes, other=0) == tl.load(group + j, mask=j < num_boxes, other=0)
        )
        flat = tl.reshape(meet.to(tl.int32), (TILE * TILE,))
        found = tl.sum(flat, axis=0)
        if found > 0:
            place = tl.atomic_add(num_pairs, found, sem="relaxed") + tl.cumsum(flat, axis=0) - flat
            pair = tl.reshape((i - first) * num_boxes + j, (TILE * TILE,))
            tl.store(pairs + place, pair, mask=flat > 0)


@triton.jit
def _load_circle(boxes, i, num_boxes):
    row = boxes + i * COLUMNS
    x, y = tl.load(row, mask=i < num_boxes, other=0.0), tl.load(row + 1, mask=i < num_boxes, other=0.0)
    length, width = tl.load(row + 3, mask=i < num_boxes, other=0.0), tl.load(row + 4, mask=i < num_boxes, other=0.0)
    return x, y, tl.load(row + 8, mask=i < num_boxes, other=0.0), length * width


@triton.jit
def _measure_pairs(boxes, iou, pairs, num_pairs, suppresses, num_boxes, first, BLOCK: tl.constexpr):
    num_words = (num_boxes + BITS - 1) // BITS
    count = tl.load(num_pairs)
    for begin in range(tl.program_id(0) * BLOCK, count, tl.num_programs(0) * BLOCK):
        k = begin + tl.arange(0, BLOCK)
        pair = tl.load(pairs + k, mask=k < count, other=0)
        i, j = first + pair // num_boxes, pair % num_boxes
        overlap = prepared_pair_iou(boxes, i, boxes, j, k < count, False)
        too_much = overlap.to(tl.float32) > tl.load(iou + j, mask=k < count, other=0.0)
        bit = tl.full((BLOCK,), 1, tl.int64) << (j % BITS).to(tl.int64)
        word = suppresses + i.to(tl.int64) * num_words + j // BITS
        tl.atomic_or(word, bit, mask=too_much & (k < count), sem="relaxed")


@triton.jit
def _mark_near(centre, group, radius_m, suppresses, num_boxes, TILE: tl.constexpr):
    i = (tl.program_id(0) * TILE + tl.arange(0, TILE))[:, None]
    j = (tl.program_id(1) * BITS + tl.arange(0, BITS))[None, :]
    dx = _load_float64(centre, 2 * i, i < num_boxes) - _load_float64(centre, 2 * j, j < num_boxes)
    dy = _load_float64(centre, 2 * i + 1, i < num_boxes) - _load_float64(centre, 2 * j + 1, j < num_boxes)
    reach = _load_float64(radius_m, j, j < num_boxes)
    near = (i < j) & (j < num_boxes) & (dx * dx + dy * dy <= reach * reach)
    near = near & (tl.load(group + i, mask=i < num_boxes, other=0) == tl.load(group + j, mask=j < num_boxes, other=0))
    word = tl.sum(near.to(tl.int64) << tl.arange(0, BITS).to(tl.int64)[None, :], axis=1)
    row = tl.program_id(0) * TILE + tl.arange(0, TILE)
    num_words = (num_boxes + BITS - 1) // BITS
    tl.store(suppresses + row.to(tl.int64) * num_words + tl.program_id(1), word, mask=row < num_boxes)


@triton.jit
def _load_float64(array, i, inside):
    return tl.load(array + i, mask=inside, other=0.0).to(tl.float64)


@triton.jit
def _keep_greedily(suppresses, keep, num_boxes, num_words, WORDS: tl.constexpr):
    word = tl.arange(0, WORDS)
    lane = tl.arange(0, BITS)
    gone = tl.zeros((WORDS,), tl.int64)  # a bit for each box that a kept one has suppressed
    row = suppresses  # of the first of the 64 boxes of a step
    for step in range(num_words):
        alive = ~tl.sum(tl.where(word == step, gone, 0), axis=0)
        for k in tl.static_range(BITS):  # one box after the other
            mine = tl.load(row + k * num_words + step)
            alive = tl.where((alive >> k) & 1 != 0, alive & ~mine, alive)
        kept = ((alive >> lane.to(tl.int64)) & 1 != 0) & (step * BITS + lane < num_boxes)
        tl.store(keep + step * BITS + lane, kept.to(tl.uint8), mask=step * BITS + lane < num_boxes)
        mask = kept[:, None] & (word < num_words)[None, :]
        rows = tl.load(row + lane[:, None] * num_words + word[None, :], mask=mask, other=0)
        gone = gone | tl.reduce(rows, 0, _combine_bits)
        row += BITS * num_words


@triton.jit
def _combine_bits(a, b):
    return a | b
