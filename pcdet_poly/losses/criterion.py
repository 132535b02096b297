"""Maps and targets of a centre head -> Losses."""

from __future__ import annotations

import torch
from torch import Tensor

from pcdet_poly.config.losses import ClassificationConfig, RegressionConfig
from pcdet_poly.losses.configured import heatmap_loss
from pcdet_poly.losses.regression import at_cells, l1
from pcdet_poly.structures import CenterMaps, CenterTargets, Losses


class CenterCriterion:
    """Heatmap and box losses of a centre head, weighted, in float32."""

    def __init__(self, classification: ClassificationConfig, regression: RegressionConfig) -> None:
        self.classification = classification
        self.regression = regression

    def __call__(self, maps: CenterMaps, targets: CenterTargets, *, progress: float = 1.0) -> Losses:
        """Losses named "heatmap" and "box". `progress`: share of the training done, in [0, 1]."""
        return Losses({"heatmap": self._heatmap(maps, targets, progress), "box": self._box(maps, targets)})

    def _heatmap(self, maps: CenterMaps, targets: CenterTargets, progress: float) -> Tensor:
        cfg = self.classification
        loss = heatmap_loss(maps.heatmap, targets.heatmap, cfg, progress=progress)  # (B, K, H, W)
        return cfg.weight * loss.sum() / self._count(targets)

    def _count(self, targets: CenterTargets) -> Tensor | int:
        """What the sum over cells is divided by; 1 for a batch without objects."""
        if self.classification.normalizer == "peaks":
            return (targets.heatmap == 1).sum().clamp(min=1)
        return max(len(targets.label), 1)

    def _box(self, maps: CenterMaps, targets: CenterTargets) -> Tensor:
        """Sum over the eight codes of the mean L1 distance over objects."""
        prediction = at_cells(maps.box_code(), targets.frame, targets.cell)  # (N, 8)
        weights = torch.tensor(self.regression.code_weights, device=prediction.device)
        loss = l1(prediction, targets.code) * weights
        return self.regression.weight * loss.sum() / max(len(targets.label), 1)
