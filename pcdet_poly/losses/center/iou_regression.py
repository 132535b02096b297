"""Distance-IoU of predicted boxes with their objects, with gradients: as if all headings were 0, or with headings.

DIoU is the 3D IoU less the squared distance of the centres over the squared diagonal of the box around both; this has
edges along the axes of the vehicle frame (aligned) or of the object (rotated). Values lie in [-1, 1], 1 for equal
boxes. Unlike the IoU's, the gradient does not vanish where boxes do not meet.
Source: Zheng et al., Distance-IoU Loss, AAAI 2020; the aligned form for 3D boxes is PillarNeXt's.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pcdet_poly.ops.dispatch import check_lengths, check_shape

_PARALLEL = 1e-9  # metres by which an edge leaves a line: less, and it crosses it nowhere


def aligned_diou(box: Tensor, target: Tensor) -> Tensor:
    """DIoU of boxes as if all headings were 0; no gradient reaches headings.

    Args:
        box: (N, 7) predicted, metres, any one frame.
        target: (N, 7) of the objects, in the same frame.

    Returns:
        (N,), type of `box`.
    """
    check_shape("aligned_diou", "box", box, "N 7")
    check_lengths("aligned_diou", box=box, target=target)
    offset, half, half_target = box[:, :3] - target[:, :3], box[:, 3:6] / 2, target[:, 3:6] / 2
    lower, upper = offset - half, offset + half  # of the box, seen from the object's centre
    shared = (torch.minimum(upper, half_target) - torch.maximum(lower, -half_target)).clamp_min(0)  # (N, 3)
    around = torch.maximum(upper, half_target) - torch.minimum(lower, -half_target)
    return _combine(shared.prod(dim=1), box, target, around)


def rotated_diou(box: Tensor, target: Tensor) -> Tensor:
    """DIoU of boxes with headings; computed in float64.

    Args:
        box: (N, 7) predicted, metres and radians, any one frame.
        target: (N, 7) of the objects, in the same frame.

    Returns:
        (N,), type of `box`.
    """
    check_shape("rotated_diou", "box", box, "N 7")
    check_lengths("rotated_diou", box=box, target=target)
    corner = place_corners(box.double(), target.double())  # (N, 4, 2)
    offset, half, half_target = (
        value.double() for value in (box[:, 2] - target[:, 2], box[:, 5] / 2, target[:, 5] / 2)
    )
    height = (torch.minimum(offset + half, half_target) - torch.maximum(offset - half, -half_target)).clamp_min(0)
    half_sides = target[:, 3:5].double() / 2  # (N, 2)
    sides = torch.maximum(corner.amax(dim=1), half_sides) - torch.minimum(corner.amin(dim=1), -half_sides)
    depth = torch.maximum(offset + half, half_target) - torch.minimum(offset - half, -half_target)
    around = torch.cat([sides, depth[:, None]], dim=1)
    shared = overlap_rectangle(corner, half_sides) * height
    return _combine(shared, box.double(), target.double(), around).to(box.dtype)


def place_corners(box: Tensor, target: Tensor) -> Tensor:
    """Corners (N, 4, 2) of boxes (N, 7) seen from above, counter-clockwise, in the frames of `target` (N, 7)."""
    turn = box[:, 6] - target[:, 6]
    forward = torch.stack([turn.cos(), turn.sin()], dim=1) * box[:, 3:4] / 2
    left = torch.stack([-turn.sin(), turn.cos()], dim=1) * box[:, 4:5] / 2
    x, y = (box[:, :2] - target[:, :2]).unbind(dim=1)
    sin, cos = target[:, 6].sin(), target[:, 6].cos()
    centre = torch.stack([x * cos + y * sin, y * cos - x * sin], dim=1)
    return torch.stack(
        [centre + forward + left, centre - forward + left, centre - forward - left, centre + forward - left], 1
    )


def overlap_rectangle(corner: Tensor, half: Tensor) -> Tensor:
    """Area that convex polygons share with rectangles around the origin, along the axes.

    Moving every point of a polygon's outline to the nearest point of the rectangle leaves an outline around what they
    share: what was outside becomes a part of the rectangle's border that is run through to and fro. So corners are
    added where edges cross the rectangle's lines, all are moved, and the shoelace formula gives the area. Coincident
    edges are no special case.

    Args:
        corner: (N, C, 2), counter-clockwise.
        half: (N, 2) half the rectangles' sides.

    Returns:
        (N,) areas, with gradients to both.
    """
    edge = corner.roll(-1, dims=1) - corner  # (N, C, 2)
    limit = half[:, None]
    crosses = edge.abs() > _PARALLEL
    slope = torch.where(crosses, edge, 1.0)
    times = [torch.where(crosses, (side - corner) / slope, 0.0) for side in (limit, -limit)]  # each (N, C, 2)
    time = torch.cat([*times, torch.zeros_like(edge[..., :1])], dim=2).clamp(0, 1).sort(dim=2).values  # (N, C, 5)
    outline = (corner[:, :, None] + time[..., None] * edge[:, :, None]).flatten(1, 2)  # (N, 5 C, 2)
    outline = torch.maximum(torch.minimum(outline, limit), -limit)
    (x, y), (next_x, next_y) = outline.unbind(2), outline.roll(-1, dims=1).unbind(2)
    return (x * next_y - next_x * y).sum(dim=1).clamp_min(0) / 2


def _combine(shared: Tensor, box: Tensor, target: Tensor, around: Tensor) -> Tensor:
    """DIoU of the shared volume (N,), two boxes (N, 7) and the sides (N, 3) of the box around both."""
    union = box[:, 3:6].prod(dim=1) + target[:, 3:6].prod(dim=1) - shared
    distance = (box[:, :3] - target[:, :3]).square().sum(dim=1)
    return (shared / union - distance / around.square().sum(dim=1)).clamp(-1, 1)
