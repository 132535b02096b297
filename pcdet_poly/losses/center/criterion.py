"""Maps and targets of a centre head -> Losses."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pcdet_poly.config.sections.cell_loss import LossSection
from pcdet_poly.config.sections.losses import CenterBoxLossConfig
from pcdet_poly.losses.center.box_loss import center_code_loss, center_iou_target, gather_cells, l1, l1_where_finite
from pcdet_poly.losses.classification import heatmap_loss
from pcdet_poly.structures import CenterMaps, CenterTargets, Grid, Losses


class CenterCriterion:
    """Heatmap and box losses of a centre head whose output map has the cells of `grid`; weighted, in float32."""

    def __init__(
        self,
        classification: LossSection,
        regression: CenterBoxLossConfig,
        grid: Grid,
        *,
        loss: Callable[..., Tensor] = heatmap_loss,
    ) -> None:
        self.classification = classification
        self.heatmap_loss = loss
        self.regression = regression
        self.grid = grid

    def count_normalizers(self, targets: CenterTargets) -> dict[str, Tensor]:
        """The number that each loss's sum is divided by: of objects, of peaks, or of objects of known velocity."""
        objects = torch.tensor(len(targets.label), device=targets.label.device)
        peaks = (
            (targets.heatmap == 1).sum()
            if getattr(self.classification, "normalizer", "objects") == "peaks"
            else objects
        )
        moving = {} if targets.velocity is None else {"velocity": targets.velocity.isfinite().all(dim=1).sum()}
        return {"heatmap": peaks, "box": objects, "iou": objects, **moving}

    def __call__(self, maps: CenterMaps, targets: CenterTargets, *, progress: float = 1.0) -> Losses:
        """The losses named "heatmap" and "box", and "iou" and "velocity" where `maps` has them.

        Each loss is a sum divided by its number in `count_normalizers`, by 1 where that is 0.

        Args:
            maps: output of the head.
            targets: of the same frames.
            progress: share of the training done, in [0, 1].

        Returns:
            Scalars in float32, weights applied.
        """
        cfg = self.classification
        per_cell = self.heatmap_loss(maps.heatmap, targets.heatmap, cfg, progress=progress)  # (B, K, H, W)
        code = gather_cells(maps.box_code(), targets.frame, targets.cell)  # (N, 6 + C)
        sums = {"heatmap": cfg.weight * per_cell.sum(), "box": self._sum_box_loss(code, targets)}
        if maps.iou is not None:
            sums |= {"iou": self._sum_iou_loss(maps.iou, code, targets)}
        if maps.velocity is not None:
            sums |= {"velocity": self._sum_velocity_loss(maps.velocity, targets)}
        normalizers = self.count_normalizers(targets)
        return Losses({name: loss / normalizers[name].clamp(min=1) for name, loss in sums.items()})

    def _sum_box_loss(self, code: Tensor, targets: CenterTargets) -> Tensor:
        """Sum over objects and code elements of the distance."""
        weights = torch.tensor(self.regression.code_weights, device=code.device)
        loss = center_code_loss(code, targets.code) * weights
        return self.regression.weight * loss.sum()

    def _sum_iou_loss(self, iou: Tensor, code: Tensor, targets: CenterTargets) -> Tensor:
        """Sum over objects of |iou - (2 IoU - 1)|, the IoU being that of the box in `code` with the object's."""
        target = center_iou_target(code, targets, self.grid)  # (N,)
        loss = l1(gather_cells(iou, targets.frame, targets.cell)[:, 0], target)
        return self.regression.weight_iou * loss.sum()

    def _sum_velocity_loss(self, velocity: Tensor, targets: CenterTargets) -> Tensor:
        """Sum over x, y and the objects whose velocity is known of the L1 distance."""
        assert targets.velocity is not None
        loss = l1_where_finite(gather_cells(velocity, targets.frame, targets.cell), targets.velocity)  # (N, 2)
        return self.regression.weight_velocity * loss.sum()
