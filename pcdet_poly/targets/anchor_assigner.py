"""Ground truth -> AnchorTargets: every anchor's best object by bird's-eye overlap of axis-aligned boxes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pcdet_poly.ops.anchor_box_coder import encode_anchor_boxes, find_sector
from pcdet_poly.structures import AnchorTargets, GroundTruth
from pcdet_poly.targets.anchor_grid import AnchorGrid
from pcdet_poly.targets.anchor_overlaps import find_overlaps
from pcdet_poly.targets.labelled_boxes import LabelledBoxes, concatenate_boxes

# Overlaps that differ by less than this are equal: boxes are float32, and which anchor an object midway between
# two of them gets must not depend on the rounding of its coordinates.
TIE = 1e-6


class AnchorAssigner:
    """Targets of an anchor head, by the rule of SECOND and OpenPCDet.

    Objects are compared with the anchors of their class only. An anchor belongs to the object that it overlaps
    most, the first of equals. It is a positive if that overlap is at least `matched`, background if it is below
    `unmatched`, and left out of the loss otherwise. Besides, the anchors that overlap an object more than all
    others do, ties included, are positives whatever their overlap; each still belongs to its own best object.
    Overlaps are equal if they differ by less than `TIE`, or, with `anchors.overlaps_in_float32`, if they do not differ.
    Objects without a positive size, or with a number that is not finite, are left out.
    """

    def __init__(self, anchors: AnchorGrid, *, direction_bins: int, direction_offset_rad: float) -> None:
        self.anchors = anchors
        self.direction_bins = direction_bins
        self.direction_offset_rad = direction_offset_rad
        self.tie = 0.0 if anchors.overlaps_in_float32 else TIE

    def __call__(self, ground_truth: Sequence[GroundTruth]) -> AnchorTargets:
        """The targets, on the device of the boxes, with the positives ordered by class, frame and anchor."""
        objects = _select_valid_boxes(concatenate_boxes(ground_truth))
        background = objects.box.new_ones(len(ground_truth) * len(self.anchors), dtype=torch.bool)
        positives = [self._assign(label, objects, background) for label in range(len(self.anchors.classes))]
        number, owner = (torch.cat(columns) for columns in zip(*positives, strict=True))
        anchor = number % len(self.anchors)
        box = objects.box[owner]
        return AnchorTargets(
            background=background.view(len(ground_truth), -1),
            frame=number // len(self.anchors),
            anchor=anchor,
            label=objects.label[owner],
            code=encode_anchor_boxes(box, self.anchors.build_boxes(anchor)),
            direction=find_sector(box[:, 6], self.direction_bins, self.direction_offset_rad),
        )

    def _assign(self, label: int, objects: LabelledBoxes, background: Tensor) -> tuple[Tensor, Tensor]:
        """Positive anchors of a class (frame * N + number) and their objects; unmarks `background` where it is none."""
        thresholds = self.anchors.classes[label]
        overlaps = find_overlaps(self.anchors, label, objects)
        anchor, compact = torch.unique(overlaps.anchor, return_inverse=True)  # (U,) ascending
        best = overlaps.iou.new_zeros(len(anchor)).scatter_reduce(0, compact, overlaps.iou, "amax")
        rival = torch.where(overlaps.iou >= best[compact] - self.tie, overlaps.object, len(objects.box))
        owner = overlaps.object.new_full((len(anchor),), len(objects.box)).scatter_reduce(0, compact, rival, "amin")
        highest = overlaps.iou.new_zeros(len(objects.box)).scatter_reduce(0, overlaps.object, overlaps.iou, "amax")
        forced = (overlaps.iou >= highest[overlaps.object] - self.tie) & (overlaps.iou > self.tie)
        positive = best >= thresholds.matched
        positive[compact[forced]] = True
        background[anchor] = (best < thresholds.unmatched) & ~positive
        return anchor[positive], owner[positive]


def _select_valid_boxes(boxes: LabelledBoxes) -> LabelledBoxes:
    """The boxes whose numbers are finite and whose sizes are positive."""
    return boxes.select(boxes.box.isfinite().all(1) & (boxes.box[:, 3:6] > 0).all(1))
