"""Maps and targets of RSN -> Losses."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from pcdet_poly.config.sections.losses import ClassificationConfig
from pcdet_poly.config.sections.rsn import RsnConfig
from pcdet_poly.losses.anchor_box_loss import smooth_l1
from pcdet_poly.losses.configured import heatmap_loss, sigmoid_loss
from pcdet_poly.losses.iou import aligned_iou_loss
from pcdet_poly.ops.heading_bins import heading_to_bin
from pcdet_poly.structures import Losses, RsnMaps, RsnTargets, RsnVoxelTargets


class RsnCriterion:
    """Segmentation, heatmap and box losses of RSN, weighted, in float32.

    Segmentation is a mean over points of the frames' own sweeps, the heatmap's a sum divided by the number
    of labelled objects, each box loss a mean over a frame's voxels with heat above `model.box_heat`, then
    over frames.
    Source: RSN, section 4.4: 400 L_seg + 4 L_hm + L_box.
    """

    def __init__(self, classification: ClassificationConfig, model: RsnConfig) -> None:
        self.classification = classification
        self.model = model

    def counts(self, targets: RsnTargets) -> dict[str, Tensor]:
        """What a loss is a mean over: points, objects; those that are not named are means over frames."""
        objects = torch.tensor(len(targets.box), device=targets.box.device)
        return {"segmentation": targets.counted.sum(), "heatmap": objects}

    def __call__(
        self, maps: RsnMaps, targets: RsnTargets, at_voxels: RsnVoxelTargets, *, progress: float = 1.0
    ) -> Losses:
        """Losses "segmentation", "heatmap", "heading", "box", "iou". `progress`: share of the training done."""
        counts = self.counts(targets)
        segmentation = point_loss(maps, targets, self.model, progress=progress).sum()
        heat = voxel_loss(maps, at_voxels, self.classification, progress=progress).sum()
        return Losses(
            {
                "segmentation": self.model.segmentation.weight * segmentation / counts["segmentation"].clamp(min=1),
                "heatmap": self.classification.weight * heat / counts["heatmap"].clamp(min=1),
                **self._boxes(maps, at_voxels),
            }
        )

    def _boxes(self, maps: RsnMaps, at_voxels: RsnVoxelTargets) -> dict[str, Tensor]:
        chosen = (at_voxels.heatmap > self.model.box_heat).nonzero()[:, 0]  # (N,)
        frame = maps.sites.coordinates()[chosen, 0]
        per_frame = torch.bincount(frame, minlength=maps.sites.num_frames)
        share = 1 / (per_frame[frame] * maps.sites.num_frames)
        losses = box_losses(maps, chosen, at_voxels.box[chosen], beta=self.model.smooth_l1_beta)
        return {name: self.model.box_weight * (loss * share).sum() for name, loss in losses.items()}


def point_loss(maps: RsnMaps, targets: RsnTargets, model: RsnConfig, *, progress: float) -> Tensor:
    """(S, 1) segmentation loss of each point, 0 where it is not counted, without the total weight."""
    logits, right = maps.foreground[:, None].float(), targets.foreground[:, None]
    loss = sigmoid_loss(logits, right, model.segmentation, progress=progress)
    return loss.masked_fill(~targets.counted[:, None], 0)


def voxel_loss(maps: RsnMaps, at_voxels: RsnVoxelTargets, cfg: ClassificationConfig, *, progress: float) -> Tensor:
    """(V, 1) heatmap loss of each voxel, without the total weight."""
    return heatmap_loss(maps.heatmap[:, None].float(), at_voxels.heatmap[:, None], cfg, progress=progress)


def box_losses(maps: RsnMaps, voxel: Tensor, box: Tensor, *, beta: float) -> dict[str, Tensor]:
    """(N,) losses of the boxes predicted at the voxels (N,), whose targets are `box` (N, 7).

    "heading": cross-entropy of the sector, and smooth L1 of the residual in the right one. "box": sum of
    smooth L1 over centre (metres) and log sizes. "iou": 1 - IoU, with the headings taken as equal.
    """
    offset, size, heading = (values[voxel].float() for values in (maps.offset, maps.size, maps.heading))
    logits, residuals = heading.chunk(2, dim=1)
    sector, residual = heading_to_bin(box[:, 6], logits.shape[1])
    in_sector = residuals.gather(1, sector[:, None])[:, 0]
    wanted = box[:, :3] - maps.centre[voxel]
    difference = torch.cat([offset - wanted, size - box[:, 3:6].log()], dim=1)
    return {
        "heading": cross_entropy(logits, sector, reduction="none") + smooth_l1(in_sector - residual, beta=beta),
        "box": smooth_l1(difference, beta=beta).sum(dim=1),
        "iou": aligned_iou_loss(offset, size.clamp(-5, 5).exp(), wanted, box),
    }
