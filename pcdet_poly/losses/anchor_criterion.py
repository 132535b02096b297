"""Maps and targets of an anchor head -> Losses."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pcdet_poly.config.sections.cell_loss import LossSection
from pcdet_poly.config.sections.pointpillars import PointPillarsConfig
from pcdet_poly.losses.anchor_box_loss import residual_difference, smooth_l1
from pcdet_poly.losses.classification import sigmoid_loss
from pcdet_poly.losses.gradient_match import MatchedLoss
from pcdet_poly.structures import AnchorMaps, AnchorTargets, Losses


class AnchorCriterion:
    """Classification, box and direction losses of an anchor head, weighted, in float32.

    Each loss is a mean over frames, as in OpenPCDet: a frame's sum over its anchors is divided by its number of
    positives (by 1 where it has none).
    """

    def __init__(
        self, classification: LossSection, model: PointPillarsConfig, *, loss: Callable[..., Tensor] = sigmoid_loss
    ) -> None:
        self.classification = classification
        self.sigmoid_loss = loss
        self.model = model

    def __call__(self, maps: AnchorMaps, targets: AnchorTargets, *, progress: float = 1.0) -> Losses:
        """The losses named "class", "box" and "direction".

        Args:
            maps: output of the head.
            targets: of the same frames.
            progress: share of the training done, in [0, 1].

        Returns:
            Scalars in float32, weights applied.
        """
        cfg = self.classification
        right, counted = assemble_class_targets(maps, targets)
        marked = {"counted": counted} if isinstance(self.sigmoid_loss, MatchedLoss) else {}
        loss = self.sigmoid_loss(maps.logit, right, cfg, progress=progress, **marked)  # (B, N, K)
        num_frames = len(maps.logit)
        positives = torch.bincount(targets.frame, minlength=num_frames).clamp(min=1)  # (B,)
        share = 1 / (num_frames * positives)  # what each of a frame's anchors adds to the mean
        return Losses(
            {
                "class": cfg.weight * (loss.masked_fill(~counted, 0).sum(dim=(1, 2)) * share).sum(),
                "box": self._compute_box_loss(maps, targets, share),
                "direction": self._compute_direction_loss(maps, targets, share),
            }
        )

    def _compute_box_loss(self, maps: AnchorMaps, targets: AnchorTargets, share: Tensor) -> Tensor:
        difference = residual_difference(maps.code[targets.frame, targets.anchor], targets.code)  # (M, 7)
        difference = difference * difference.new_tensor(self.model.code_weights)
        loss = smooth_l1(difference, beta=self.model.smooth_l1_beta).sum(1)
        return self.model.box_weight * (loss * share[targets.frame]).sum()

    def _compute_direction_loss(self, maps: AnchorMaps, targets: AnchorTargets, share: Tensor) -> Tensor:
        logits = maps.direction[targets.frame, targets.anchor].float()  # (M, D)
        loss = torch.nn.functional.cross_entropy(logits, targets.direction, reduction="none")
        return self.model.direction_weight * (loss * share[targets.frame]).sum()


def assemble_class_targets(maps: AnchorMaps, targets: AnchorTargets) -> tuple[Tensor, Tensor]:
    """Whether each anchor is of each class, (B, N, K) bool, and whether it counts at all, (B, N, 1) bool."""
    right = torch.zeros_like(maps.logit, dtype=torch.bool)
    right[targets.frame, targets.anchor, targets.label] = True
    counted = targets.background.clone()
    counted[targets.frame, targets.anchor] = True
    return right, counted[..., None]
