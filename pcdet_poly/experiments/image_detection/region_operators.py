"""The two operators of two-stage detectors, nms and RoIAlign, made of torch's own operations."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def suppress_boxes(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Find the boxes that no better one overlaps by more than a threshold.

    Args:
        boxes: (N, 4) x1, y1, x2, y2 in pixels.
        scores: (N,).
        iou_threshold: boxes that overlap more are the same object.

    Returns:
        Places of the boxes that are kept, the best first.
    """
    order = scores.argsort(descending=True, stable=True)
    x1, y1, x2, y2 = boxes[order].unbind(1)
    area = (x2 - x1) * (y2 - y1)
    width = (torch.minimum(x2[:, None], x2) - torch.maximum(x1[:, None], x1)).clamp(min=0)
    height = (torch.minimum(y2[:, None], y2) - torch.maximum(y1[:, None], y1)).clamp(min=0)
    overlap = width * height
    is_near = (overlap / (area[:, None] + area - overlap) > iou_threshold).numpy()
    kept = torch.ones(len(order), dtype=torch.bool)
    alive = kept.numpy()
    for row in range(len(alive)):
        if alive[row]:
            alive[row + 1 :] &= ~is_near[row, row + 1 :]
    return order[kept]


def pool_regions(
    maps: Tensor, rois: Tensor, scale: float, height: int, width: int, sampling_ratio: int, aligned: bool
) -> Tensor:
    """Average bilinear samples of maps in every bin of every region: RoIAlign.

    Args:
        maps: (B, C, H, W).
        rois: (R, 5): number of the map, x1, y1, x2, y2 in pixels of the image, inside it.
        scale: cells of the map per pixel.
        height: bins of a region, downwards.
        width: bins of a region, across.
        sampling_ratio: samples of a bin along each side; 0 or less for one per cell of the map that it covers.
        aligned: whether the middle of the first cell, not its corner, lies at half a cell.

    Returns:
        (R, C, height, width).
    """
    corners = rois[:, 1:] * scale - 0.5 * aligned
    low, high = corners[:, :2], corners[:, 2:]
    size = high - low if aligned else (high - low).clamp(min=1)  # (R, 2): across, down
    bins = torch.tensor([width, height])
    samples = torch.full(size.shape, sampling_ratio) if sampling_ratio > 0 else (size / bins).ceil().clamp(min=1).long()
    pooled = maps.new_zeros(len(rois), maps.shape[1], height, width)
    table = torch.cat([rois[:, :1].long(), samples], 1).tolist()
    for number, *counts in sorted({tuple(row) for row in table}):
        inside = ((rois[:, 0] == number) & (samples == torch.tensor(counts)).all(1)).nonzero()[:, 0]
        across, down = (
            low[inside, axis, None] + size[inside, axis, None] * _place_samples(count * int(bins[axis]), like=maps)
            for axis, count in enumerate(counts)
        )
        values = _sample_map(maps[number], across, down)  # (C, R height count, width count)
        found = F.avg_pool2d(values, (counts[1], counts[0])).reshape(-1, len(inside), height, width)
        pooled = pooled.index_copy(0, inside, found.transpose(0, 1))
    return pooled


def _place_samples(count: int, like: Tensor) -> Tensor:
    """Place samples at even distances between 0 and 1."""
    return (torch.arange(count).to(like) + 0.5) / count


def _sample_map(values: Tensor, across: Tensor, down: Tensor) -> Tensor:
    """Sample a map (C, H, W) at columns (R, X) and rows (R, Y): (C, R Y, X)."""
    last_row, last_column = values.shape[1] - 1, values.shape[2] - 1
    columns, rows = across * (2 / last_column) - 1, down * (2 / last_row) - 1  # the middle of the last cell is 1
    shape = (len(across), down.shape[1], across.shape[1])
    grid = torch.stack([columns[:, None].expand(shape), rows[:, :, None].expand(shape)], -1)  # (R, Y, X, 2)
    return F.grid_sample(values[None], grid.flatten(0, 1)[None], padding_mode="border", align_corners=True)[0]
