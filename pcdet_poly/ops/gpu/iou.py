"""Intersection over union of rotated boxes in Triton."""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
# (Triton's kernels take blocks, for which there is no type.)
from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from pcdet_poly.ops.gpu.overlap import prepare_boxes, prepared_pair_iou


def pairwise_iou(box_a: Tensor, box_b: Tensor, with_height: bool) -> Tensor:
    """IoU of every box of one set with every box of another.

    Args:
        box_a: (N, 7) float32.
        box_b: (M, 7) float32.
        with_height: 3D IoU rather than bird's-eye.

    Returns:
        (N, M) float32.
    """
    iou = box_a.new_empty(len(box_a), len(box_b))
    if iou.numel():
        _measure_pairwise[(triton.cdiv(iou.numel(), 128),)](
            prepare_boxes(box_a),
            prepare_boxes(box_b),
            iou,
            iou.numel(),
            len(box_b),
            WITH_HEIGHT=with_height,
            BLOCK=128,
            enable_fp_fusion=False,
        )
    return iou


def matched_iou(box_a: Tensor, box_b: Tensor, with_height: bool) -> Tensor:
    """IoU of box_a[i] with box_b[i].

    Args:
        box_a: (N, 7) float32.
        box_b: (N, 7) float32.
        with_height: 3D IoU rather than bird's-eye.

    Returns:
        (N,) float32.
    """
    iou = torch.empty_like(box_a[:, 0])
    if len(iou):
        _measure_matched[(triton.cdiv(len(iou), 128),)](
            prepare_boxes(box_a),
            prepare_boxes(box_b),
            iou,
            len(iou),
            WITH_HEIGHT=with_height,
            BLOCK=128,
            enable_fp_fusion=False,
        )
    return iou


@triton.jit
def _measure_pairwise(a, b, iou, num_pairs, num_b, WITH_HEIGHT: tl.constexpr, BLOCK: tl.constexpr):
    pair = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = pair < num_pairs
    value = prepared_pair_iou(a, pair // num_b, b, pair % num_b, inside, WITH_HEIGHT)
    tl.store(iou + pair, value.to(tl.float32), mask=inside)


@triton.jit
def _measure_matched(a, b, iou, num_pairs, WITH_HEIGHT: tl.constexpr, BLOCK: tl.constexpr):
    pair = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = pair < num_pairs
    value = prepared_pair_iou(a, pair, b, pair, inside, WITH_HEIGHT)
    tl.store(iou + pair, value.to(tl.float32), mask=inside)
