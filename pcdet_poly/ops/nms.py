"""Non-maximum suppression: keep the best of the boxes that claim one object.

Boxes are taken by descending score, ties by position, NaN last; a box goes if one that was kept before
it overlaps it too much. The result is the same on every device. On a GPU the host waits once, for the
number of boxes kept.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pcdet_poly.ops.dispatch import check_lengths, check_shape, define_operation, to_float_rows, to_int_row


def nms(box: Tensor, score: Tensor, iou: float) -> Tensor:
    """Keep the best of the boxes that overlap.

    A box goes if its bird's-eye IoU with a kept one, as `iou_bev` gives it, exceeds `iou`.

    Args:
        box: (N, 7).
        score: (N,).
        iou: above which a box goes.

    Returns:
        (K,) int64 positions of the boxes kept, by descending score.
    """
    _check_candidates("nms", box, score, None, None, iou)
    return nms_per_class(box, score, torch.zeros_like(score, dtype=torch.int64), iou)


def nms_per_class(
    box: Tensor, score: Tensor, label: Tensor, iou: float | Sequence[float], *, frame: Tensor | None = None
) -> Tensor:
    """Keep the best of the boxes of one class, and of one frame, that overlap; see `nms`.

    Args:
        box: (N, 7).
        score: (N,).
        label: (N,) int64; only boxes of one label suppress each other.
        iou: above which a box goes, one number or one for each label.
        frame: (N,) int64; if given, only boxes of one frame suppress each other.

    Returns:
        (K,) int64 positions of the boxes kept, by descending score over all labels and frames.
    """
    _check_candidates("nms_per_class", box, score, label, frame, iou)
    order = _sort_by_score(score)
    keep = torch.ops.pcdet_poly.suppress_overlapping(
        to_float_rows(box)[order], _combine_groups(label, frame)[order], _look_up_by_label(iou, label)[order]
    )
    return order[keep]


def circle_nms(
    box: Tensor,
    score: Tensor,
    radius_m: float | Sequence[float],
    *,
    label: Tensor | None = None,
    frame: Tensor | None = None,
) -> Tensor:
    """Keep the best of the boxes that lie near each other.

    A box goes if a kept one's centre (x, y) lies within `radius_m` of its own.

    Args:
        box: (N, 7).
        score: (N,).
        radius_m: metres, one number or one for each label.
        label: (N,) int64; if given, only boxes of one label suppress each other.
        frame: (N,) int64; if given, only boxes of one frame suppress each other.

    Returns:
        (K,) int64 positions of the boxes kept, by descending score over all labels and frames.
    """
    _check_candidates("circle_nms", box, score, label, frame, radius_m)
    label = torch.zeros_like(score, dtype=torch.int64) if label is None else label
    order = _sort_by_score(score)
    keep = torch.ops.pcdet_poly.suppress_near(
        to_float_rows(box[:, :2])[order],
        _combine_groups(label, frame)[order],
        _look_up_by_label(radius_m, label)[order],
    )
    return order[keep]


def _check_candidates(
    operation: str,
    box: Tensor,
    score: Tensor,
    label: Tensor | None,
    frame: Tensor | None,
    number: float | Sequence[float],
) -> None:
    check_shape(operation, "box", box, "N 7")
    check_shape(operation, "score", score, "N")
    for name, row in (("label", label), ("frame", frame)):
        if row is not None:
            check_shape(operation, name, row, "N", is_whole=True)
    check_lengths(operation, box=box, score=score, label=label, frame=frame)
    numbers = [number] if isinstance(number, (int, float)) else list(number)
    if not numbers or any(each != each for each in numbers):
        raise ValueError(f"{operation}: limits {numbers} given, one number or one for each label needed")


def _sort_by_score(score: Tensor) -> Tensor:
    ranked = score.detach().float()
    return torch.sort(torch.where(ranked.isnan(), -torch.inf, ranked), descending=True, stable=True).indices


def _combine_groups(label: Tensor, frame: Tensor | None) -> Tensor:
    """Give every pair of label and frame, both below 2**31, its own number: (N,) int64."""
    return to_int_row(label) if frame is None else to_int_row(label) + (to_int_row(frame) << 31)


def _look_up_by_label(number: float | Sequence[float], label: Tensor) -> Tensor:
    """Look up the number of each box's label: (N,) float32."""
    if isinstance(number, (int, float)):
        return torch.full(label.shape, float(number), dtype=torch.float32, device=label.device)
    table = torch.tensor(number, dtype=torch.float32).to(label.device, non_blocking=True)
    try:
        return table.index_select(0, to_int_row(label))
    except (IndexError, RuntimeError) as error:
        raise ValueError(f"nms: labels that none of the {len(number)} limits are for; give one for each") from error


def _keep_fake(box: Tensor, group: Tensor, limit: Tensor) -> Tensor:
    return group.new_empty(group.shape, dtype=torch.bool)


define_operation("suppress_overlapping(Tensor box, Tensor group, Tensor iou) -> Tensor", file="nms", fake=_keep_fake)
define_operation("suppress_near(Tensor centre, Tensor group, Tensor radius_m) -> Tensor", file="nms", fake=_keep_fake)
