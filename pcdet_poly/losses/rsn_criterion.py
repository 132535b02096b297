"""Maps and targets of RSN -> Losses."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pcdet_poly.config.sections.cell_loss import LossSection
from pcdet_poly.config.sections.rsn import RsnConfig
from pcdet_poly.losses.classification import heatmap_loss, sigmoid_loss
from pcdet_poly.losses.gradient_match import MatchedLoss, match_gradient
from pcdet_poly.losses.rsn_box_loss import rsn_box_losses
from pcdet_poly.structures import Losses, RsnMaps, RsnTargets, RsnVoxelTargets


class RsnCriterion:
    """Segmentation, heatmap and box losses of RSN, weighted, in float32.

    The segmentation loss is a mean over the points of the frames' own sweeps. The heatmap loss is a sum divided
    by the number of labelled objects. Each box loss is a mean over those voxels of a frame whose heatmap target
    is above `model.box_heat`, then over frames.
    Source: RSN, section 3.4: 400 L_seg + 4 L_hm + L_box.
    """

    def __init__(
        self, classification: LossSection, model: RsnConfig, *, loss: Callable[..., Tensor] = heatmap_loss
    ) -> None:
        self.classification = classification
        self.heatmap_loss = loss
        self.segmentation_loss = match_gradient(sigmoid_loss, model.segmentation)
        self.model = model

    def count_normalizers(self, targets: RsnTargets) -> dict[str, Tensor]:
        """The number that a loss's sum is divided by: of points, of objects. All other losses are means over frames."""
        objects = torch.tensor(len(targets.box), device=targets.box.device)
        return {"segmentation": targets.counted.sum(), "heatmap": objects}

    def __call__(
        self, maps: RsnMaps, targets: RsnTargets, at_voxels: RsnVoxelTargets, *, progress: float = 1.0
    ) -> Losses:
        """The losses "segmentation", "heatmap", "heading", "box" and "iou".

        Args:
            maps: output of the network.
            targets: of its points.
            at_voxels: targets of its voxels.
            progress: share of the training done, in [0, 1].

        Returns:
            Scalars in float32, weights applied.
        """
        classification, segmentation = self.classification, self.model.segmentation
        logits, right = maps.foreground[:, None].float(), targets.foreground[:, None]
        counted = targets.counted[:, None]
        marked = {"counted": counted} if isinstance(self.segmentation_loss, MatchedLoss) else {}
        per_point = self.segmentation_loss(logits, right, segmentation, progress=progress, **marked)  # (S, 1)
        heat = maps.heatmap[:, None].float(), at_voxels.heatmap[:, None]
        per_voxel = self.heatmap_loss(*heat, classification, progress=progress)  # (V, 1)
        sums = {
            "segmentation": segmentation.weight * per_point.masked_fill(~counted, 0).sum(),
            "heatmap": classification.weight * per_voxel.sum(),
        }
        normalizers = self.count_normalizers(targets)
        means = {name: loss / normalizers[name].clamp(min=1) for name, loss in sums.items()}
        return Losses(means | self._average_box_losses(maps, at_voxels))

    def _average_box_losses(self, maps: RsnMaps, at_voxels: RsnVoxelTargets) -> dict[str, Tensor]:
        chosen = (at_voxels.heatmap > self.model.box_heat).nonzero()[:, 0]  # (N,)
        frame = maps.sites.coordinates()[chosen, 0]
        per_frame = torch.bincount(frame, minlength=maps.sites.num_frames)
        share = 1 / (per_frame[frame] * maps.sites.num_frames)
        beta, sizes = self.model.smooth_l1_beta, self.model.sizes
        losses = rsn_box_losses(maps, chosen, at_voxels.box[chosen], beta=beta, sizes=sizes)
        return {name: self.model.box_weight * (loss * share).sum() for name, loss in losses.items()}
