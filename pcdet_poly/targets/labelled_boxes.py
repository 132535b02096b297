"""The labelled boxes of a batch in one table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pcdet_poly.structures import GroundTruth


class LabelledBoxes(NamedTuple):
    """M boxes of all frames, frame by frame."""

    frame: Tensor  # (M,) int64 in [0, B), ascending
    box: Tensor  # (M, 7) float32, vehicle frame
    label: Tensor  # (M,) int64 in [0, K)

    def select(self, index: Tensor) -> LabelledBoxes:
        """The boxes at `index`, a mask (M,) or positions."""
        return LabelledBoxes(self.frame[index], self.box[index], self.label[index])


def concatenate_boxes(ground_truth: Sequence[GroundTruth]) -> LabelledBoxes:
    """Put the boxes of B frames into one table, on the device they are on."""
    box = torch.cat([rows.box for rows in ground_truth])
    label = torch.cat([rows.label for rows in ground_truth])
    count = torch.tensor([len(rows) for rows in ground_truth])
    frame = torch.repeat_interleave(torch.arange(len(count)), count, output_size=len(box))
    return LabelledBoxes(frame.to(box.device, non_blocking=True), box, label)
