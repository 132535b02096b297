"""Non-maximum suppression: keep the best of the boxes that claim one object."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pcdet_poly.ops.cpu import nms as cpu


def nms(box: Tensor, score: Tensor, iou: float) -> Tensor:
    """Positions (K,) int64 of the boxes kept, by descending score (ties: by position)."""
    return nms_per_class(box, score, torch.zeros_like(score, dtype=torch.int64), iou)


def nms_per_class(
    box: Tensor, score: Tensor, label: Tensor, iou: float | Sequence[float], *, frame: Tensor | None = None
) -> Tensor:
    """As `nms`; boxes of different `label` (or `frame`) never meet. `iou`: one number, or one per label."""
    order = _by_score(score)
    group = label if frame is None else label + frame * (label.max() + 1 if len(label) else 1)
    threshold = _per_label(iou, label)
    keep = cpu.suppress_overlapping(
        box.detach().float()[order].numpy(), group[order].contiguous().numpy(), threshold[order].numpy()
    )
    return order[torch.from_numpy(keep)]


def circle_nms(box: Tensor, score: Tensor, radius_m: float | Sequence[float], *, label: Tensor | None = None) -> Tensor:
    """As `nms` by distance: a centre (x, y) goes if a kept one with a higher score lies within `radius_m`."""
    label = torch.zeros_like(score, dtype=torch.int64) if label is None else label
    order = _by_score(score)
    keep = cpu.suppress_near(
        box.detach().float()[order, :2].contiguous().numpy(),
        label[order].numpy(),
        _per_label(radius_m, label)[order].numpy(),
    )
    return order[torch.from_numpy(keep)]


def _by_score(score: Tensor) -> Tensor:
    return torch.sort(torch.nan_to_num(score, nan=-torch.inf), descending=True, stable=True).indices


def _per_label(number: float | Sequence[float], label: Tensor) -> Tensor:
    if isinstance(number, (int, float)):
        return torch.full(label.shape, float(number), dtype=torch.float32)
    return torch.tensor(number, dtype=torch.float32)[label]
