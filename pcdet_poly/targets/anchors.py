"""Ground truth -> AnchorTargets: every anchor's best object by bird's-eye overlap of axis-aligned boxes.

Boxes are compared as if they stood along the axes: one whose heading is nearer to y than to x has its
length along y. That overlap is a product of two intervals', and it is zero beyond half the sum of the
sides, so only the few anchors around an object are looked at: some 100,000 pairs of anchor and object in
a full Waymo frame, out of 1.3 million x 200.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pcdet_poly.config.sections.pointpillars import AnchorConfig
from pcdet_poly.ops.anchor_code import encode_residuals, sector_of
from pcdet_poly.structures import AnchorTargets, GroundTruth
from pcdet_poly.targets.anchor_grid import AnchorGrid

# Overlaps nearer to each other than this are equal: boxes are float32, and an object midway between
# anchors must not choose by the rounding of its place.
TIE = 1e-6


class Objects(NamedTuple):
    """Labelled boxes of all frames."""

    frame: Tensor  # (M,) int64
    box: Tensor  # (M, 7)
    label: Tensor  # (M,) int64


class Pairs(NamedTuple):
    """Anchors and objects of one class that may overlap, by object."""

    anchor: Tensor  # (Q,) int64, frame * N + the anchor's number
    object: Tensor  # (Q,) int64
    iou: Tensor  # (Q,) float64


class AnchorAssigner:
    """Targets of an anchor head (SECOND's and OpenPCDet's rule). Objects only meet the anchors of their class.

    An anchor belongs to the object it overlaps most (the first of equals). It is a positive from
    `matched` on, background below `unmatched`, else left out. Besides, the anchors that overlap an
    object more than all others do, ties included, are positives whatever their overlap; each still
    belongs to its own best object. Objects without a positive size, or not finite, are left out.
    """

    def __init__(self, anchors: AnchorGrid, *, direction_bins: int, direction_offset_rad: float) -> None:
        self.anchors = anchors
        self.direction_bins = direction_bins
        self.direction_offset_rad = direction_offset_rad

    def __call__(self, ground_truth: Sequence[GroundTruth]) -> AnchorTargets:
        """Targets on the device of the boxes; positives by class, frame and anchor."""
        objects = _all_objects(ground_truth)
        background = objects.box.new_ones(len(ground_truth) * len(self.anchors), dtype=torch.bool)
        positives = [self._assign(label, objects, background) for label in range(len(self.anchors.classes))]
        place, owner = (torch.cat(columns) for columns in zip(*positives, strict=True))
        anchor = place % len(self.anchors)
        box = objects.box[owner]
        return AnchorTargets(
            background=background.view(len(ground_truth), -1),
            frame=place // len(self.anchors),
            anchor=anchor,
            label=objects.label[owner],
            code=encode_residuals(box, self.anchors.boxes(anchor)),
            direction=sector_of(box[:, 6], self.direction_bins, self.direction_offset_rad),
        )

    def _assign(self, label: int, objects: Objects, background: Tensor) -> tuple[Tensor, Tensor]:
        """Positive anchors of a class (frame * N + number) and their objects; clears `background` where it is none."""
        thresholds = self.anchors.classes[label]
        pairs = pairs_near(self.anchors, label, objects)
        anchor, compact = torch.unique(pairs.anchor, return_inverse=True)  # (U,) ascending
        best = pairs.iou.new_zeros(len(anchor)).scatter_reduce(0, compact, pairs.iou, "amax")
        rival = torch.where(pairs.iou >= best[compact] - TIE, pairs.object, len(objects.box))
        owner = pairs.object.new_full((len(anchor),), len(objects.box)).scatter_reduce(0, compact, rival, "amin")
        highest = pairs.iou.new_zeros(len(objects.box)).scatter_reduce(0, pairs.object, pairs.iou, "amax")
        forced = (pairs.iou >= highest[pairs.object] - TIE) & (pairs.iou > TIE)
        positive = best >= thresholds.matched
        positive[compact[forced]] = True
        background[anchor] = (best < thresholds.unmatched) & ~positive
        return anchor[positive], owner[positive]


def pairs_near(anchors: AnchorGrid, label: int, objects: Objects) -> Pairs:
    """All pairs of an object and an anchor of class `label` that overlap, and a few that just do not."""
    index = (objects.label == label).nonzero().squeeze(1)
    centre, half = _axis_aligned(objects.box[index].double())
    parts = []
    for number, yaw_rad in enumerate(anchors.yaws_rad):
        own_half = half.new_tensor(_half_sides(anchors.classes[label], yaw_rad))
        column, row, which = _window(anchors, centre, half + own_half)
        iou = _iou(anchors, column, row, own_half, centre[which], half[which])
        place = (row * anchors.columns + column) * anchors.per_cell + label * len(anchors.yaws_rad) + number
        parts.append(Pairs(objects.frame[index][which] * len(anchors) + place, index[which], iou))
    return Pairs(*(torch.cat(columns) for columns in zip(*parts, strict=True)))


def _window(anchors: AnchorGrid, centre: Tensor, reach: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Column, row and position in `centre` (M, 2) of every cell whose anchors lie within `reach` (M, 2) of it."""
    first, step = centre.new_tensor(anchors.first), centre.new_tensor(anchors.step)
    limit = centre.new_tensor([anchors.columns, anchors.rows])
    low = ((centre - reach - first) / step).floor().clamp_min(0).minimum(limit).long()
    high = ((centre + reach - first) / step).ceil().clamp_min(-1).minimum(limit - 1).long()
    width, height = (high - low + 1).clamp_min(0).unbind(1)
    count = width * height
    which = torch.repeat_interleave(count)
    rank = torch.arange(len(which), device=count.device) - (count.cumsum(0) - count)[which]
    column = low[which, 0] + rank % width[which]
    row = low[which, 1] + rank // width[which]
    return column, row, which


def _iou(anchors: AnchorGrid, column: Tensor, row: Tensor, own_half: Tensor, centre: Tensor, half: Tensor) -> Tensor:
    """(Q,) IoU of anchors at cells with axis-aligned boxes; sides are given by their halves."""
    place = torch.stack([column, row], 1) * centre.new_tensor(anchors.step) + centre.new_tensor(anchors.first)
    sides = torch.minimum(place + own_half, centre + half) - torch.maximum(place - own_half, centre - half)
    both = sides.clamp_min(0).prod(1)
    return both / (4 * own_half.prod() + 4 * half.prod(1) - both)


def _half_sides(anchor: AnchorConfig, yaw_rad: float) -> tuple[float, float]:
    """Half of an anchor's extent along x and y, turned to the nearest axis."""
    length, width, _ = anchor.size
    return (width / 2, length / 2) if abs(math.sin(yaw_rad)) > abs(math.cos(yaw_rad)) else (length / 2, width / 2)


def _axis_aligned(box: Tensor) -> tuple[Tensor, Tensor]:
    """Centre (M, 2) and half of the extent along x and y (M, 2), headings turned to the nearest axis."""
    across = box[:, 6].sin().abs() > box[:, 6].cos().abs()
    half = torch.where(across[:, None], box[:, [4, 3]], box[:, [3, 4]]) / 2
    return box[:, :2], half


def _all_objects(ground_truth: Sequence[GroundTruth]) -> Objects:
    frame = torch.cat([rows.label.new_full((len(rows),), number) for number, rows in enumerate(ground_truth)])
    box = torch.cat([rows.box for rows in ground_truth])
    label = torch.cat([rows.label for rows in ground_truth])
    good = box.isfinite().all(1) & (box[:, 3:6] > 0).all(1)
    return Objects(frame[good], box[good], label[good])
