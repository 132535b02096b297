"""Rotated NMS of 4096 boxes: ours, and the greedy rule in numpy and in torch over the IoU matrix.

python -m benchmarks.bench_nms [--device cuda] [--threads N] [--json]
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from benchmarks.bench_iou import draw_crowd
from benchmarks.common import Row, main, median_ms
from pcdet_poly.ops.iou import iou_bev
from pcdet_poly.ops.nms import circle_nms, nms, nms_per_class

NUM_BOXES = 4096
IOU = 0.7


def suppress_by_matrix(box: Tensor, score: Tensor, iou: float) -> Tensor:
    """Greedy over the whole IoU matrix, one kept box at a time, on the host."""
    order = torch.sort(score, descending=True, stable=True).indices
    meets = (iou_bev(box[order], box[order]) > iou).cpu().numpy()
    gone = np.zeros(len(box), bool)
    for i in range(len(box)):
        if not gone[i]:
            gone[i + 1 :] |= meets[i, i + 1 :]
    return order[torch.from_numpy(~gone).to(order.device)]


def rows(device: str) -> Iterator[Row]:
    """Two thresholds, per class, by distance."""
    box = draw_crowd(NUM_BOXES, device)
    generator = torch.Generator().manual_seed(0)
    score = torch.rand(NUM_BOXES, generator=generator).to(device)
    label = torch.randint(0, 3, (NUM_BOXES,), generator=generator).to(device)
    for iou in (IOU, 0.1):
        ours, expected = nms(box, score, iou), suppress_by_matrix(box, score, iou)
        if not torch.equal(ours, expected):
            raise AssertionError(f"NMS at {iou}: not the greedy rule")
        mine = median_ms(lambda iou=iou: nms(box, score, iou), device)
        yield Row(f"{NUM_BOXES} boxes, IoU {iou}: ours", mine, f"{len(ours)} kept")
        if device == "cuda":
            yield Row(
                f"{NUM_BOXES} boxes, IoU {iou}: ours, to the bits of the boxes kept", _measure_bits(box, score, iou)
            )
        peer = median_ms(lambda iou=iou: suppress_by_matrix(box, score, iou), device)
        yield Row(f"{NUM_BOXES} boxes, IoU {iou}: IoU matrix and greedy numpy", peer, f"{peer / mine:.0f} x ours")
    per_class = median_ms(lambda: nms_per_class(box, score, label, (0.7, 0.6, 0.55)), device)
    yield Row(f"{NUM_BOXES} boxes of 3 classes: ours", per_class)
    yield Row(f"{NUM_BOXES} boxes, circles of 1 m: ours", median_ms(lambda: circle_nms(box, score, 1.0), device))
    apart = draw_crowd(20 * NUM_BOXES, device)[::20].contiguous()
    yield Row(f"{NUM_BOXES} boxes, none near another: ours", median_ms(lambda: nms(apart, score, IOU), device))


def _measure_bits(box: Tensor, score: Tensor, iou: float) -> float:
    order = torch.sort(score, descending=True, stable=True).indices
    arguments = box[order], torch.zeros_like(order), torch.full_like(score, iou)
    keep: Callable[..., Tensor] = torch.ops.pcdet_poly.suppress_overlapping
    return median_ms(lambda: keep(*arguments), "cuda")


if __name__ == "__main__":
    main(__doc__, rows)
