"""Maps and targets of a centre head -> Losses."""

from __future__ import annotations

import torch
from torch import Tensor

from pcdet_poly.config.sections.losses import ClassificationConfig, RegressionConfig
from pcdet_poly.losses.center_box_loss import at_cells, code_distance, iou_target, known_l1, l1
from pcdet_poly.losses.configured import heatmap_loss
from pcdet_poly.structures import CenterMaps, CenterTargets, Grid, Losses


class CenterCriterion:
    """Heatmap and box losses of a centre head whose output map has the cells of `grid`; weighted, in float32."""

    def __init__(self, classification: ClassificationConfig, regression: RegressionConfig, grid: Grid) -> None:
        self.classification = classification
        self.regression = regression
        self.grid = grid

    def counts(self, targets: CenterTargets) -> dict[str, Tensor]:
        """What each loss is a mean over: number of objects, or of peaks."""
        objects = torch.tensor(len(targets.label), device=targets.label.device)
        peaks = (targets.heatmap == 1).sum() if self.classification.normalizer == "peaks" else objects
        moving = {} if targets.velocity is None else {"velocity": targets.velocity.isfinite().all(dim=1).sum()}
        return {"heatmap": peaks, "box": objects, "iou": objects, **moving}

    def __call__(self, maps: CenterMaps, targets: CenterTargets, *, progress: float = 1.0) -> Losses:
        """Losses named "heatmap" and "box", and "iou" and "velocity" where `maps` has them.

        Each is a mean over `counts`, of which a batch without any has 1. `progress`: share of the training
        done, in [0, 1].
        """
        code = at_cells(maps.box_code(), targets.frame, targets.cell)  # (N, 6 + C)
        sums = {"heatmap": self._heatmap(maps, targets, progress), "box": self._box(code, targets)}
        if maps.iou is not None:
            sums["iou"] = self._iou(maps.iou, code, targets)
        if maps.velocity is not None:
            sums["velocity"] = self._velocity(maps.velocity, targets)
        counts = self.counts(targets)
        return Losses({name: loss / counts[name].clamp(min=1) for name, loss in sums.items()})

    def _heatmap(self, maps: CenterMaps, targets: CenterTargets, progress: float) -> Tensor:
        cfg = self.classification
        loss = heatmap_loss(maps.heatmap, targets.heatmap, cfg, progress=progress)  # (B, K, H, W)
        return cfg.weight * loss.sum()

    def _box(self, code: Tensor, targets: CenterTargets) -> Tensor:
        """Sum over objects and codes of the distance."""
        weights = torch.tensor(self.regression.code_weights, device=code.device)
        loss = code_distance(code, targets.code) * weights
        return self.regression.weight * loss.sum()

    def _iou(self, iou: Tensor, code: Tensor, targets: CenterTargets) -> Tensor:
        """Sum over objects of the L1 distance to 2 IoU - 1 of the box that `code` means with the object's."""
        wanted = iou_target(code, targets.code, targets.cell, self.grid)  # (N,)
        loss = l1(at_cells(iou, targets.frame, targets.cell)[:, 0], wanted)
        return self.regression.weight_iou * loss.sum()

    def _velocity(self, velocity: Tensor, targets: CenterTargets) -> Tensor:
        """Sum over x, y and objects with a known velocity of the L1 distance."""
        assert targets.velocity is not None
        loss = known_l1(at_cells(velocity, targets.frame, targets.cell), targets.velocity)  # (N, 2)
        return self.regression.weight_velocity * loss.sum()
