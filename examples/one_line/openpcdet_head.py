"""Losses for heads written like OpenPCDet's: the same calls, so that a head changes in the line that builds its loss.

# was: loss_utils.SigmoidFocalClassificationLoss(alpha=0.25, gamma=2.0)
self.add_module("cls_loss_func", PolyFocalClassificationLoss(alpha=0.25, gamma=2.0, epsilon=-1.0))

# was: loss_utils.FocalLossCenterNet()
self.add_module("hm_loss_func", PolyFocalLossCenterNet(epsilon=-0.4))
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pcdet_poly.losses import gaussian_poly1_focal, poly1_focal


class PolyFocalClassificationLoss(nn.Module):
    """Called as OpenPCDet's SigmoidFocalClassificationLoss is."""

    def __init__(self, gamma: float = 2.0, alpha: float = 0.25, epsilon: float = 0.0) -> None:
        super().__init__()
        self.gamma, self.alpha, self.epsilon = gamma, alpha, epsilon

    def forward(self, logits: Tensor, target: Tensor, weights: Tensor) -> Tensor:
        """Compute the loss (B, A, K) of logits and one-hot targets (B, A, K); weights (B, A) are the anchors'."""
        loss = poly1_focal(logits, target, gamma=self.gamma, alpha=self.alpha, epsilon=self.epsilon)
        return loss * (weights.unsqueeze(-1) if weights.dim() == target.dim() - 1 else weights)


class PolyFocalLossCenterNet(nn.Module):
    """Called as OpenPCDet's FocalLossCenterNet is, but for its first argument: logits, not clamped probabilities."""

    def __init__(self, epsilon: float = 0.0) -> None:
        super().__init__()
        self.epsilon = epsilon

    def forward(self, logits: Tensor, heatmap: Tensor, mask: Tensor | None = None) -> Tensor:
        """Compute the loss of logits and a heatmap (B, K, H, W), divided by the number of peaks; mask (B, H, W)."""
        loss = gaussian_poly1_focal(logits, heatmap, alpha=2.0, beta=4.0, epsilon=self.epsilon)
        counts = torch.ones_like(heatmap) if mask is None else mask[:, None].to(heatmap).expand_as(heatmap)
        return (loss * counts).sum() / ((heatmap == 1) * counts).sum().clamp(min=1)
