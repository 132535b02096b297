"""Maps and targets of a centre head -> Losses."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pcdet_poly.config.sections.cell_loss import LossSection
from pcdet_poly.config.sections.losses import CenterBoxLossConfig
from pcdet_poly.losses.center.box_loss import (
    center_code_loss,
    center_iou_regression_loss,
    center_iou_target,
    gather_cells,
    l1,
    l1_where_finite,
)
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
        moving = {} if targets.velocity is None else {"velocity": self._count_velocities(targets.velocity)}
        return {"heatmap": peaks, "box": objects, "iou_regression": objects, "iou": objects, **moving}

    def __call__(self, maps: CenterMaps, targets: CenterTargets, *, progress: float = 1.0) -> Losses:
        """The losses named "heatmap" and "box", and those of the outputs and settings that there are.

        These are "iou" and "velocity", where `maps` has them, and "iou_regression". Each loss is a sum divided by its
        number in `count_normalizers`, by 1 where that is 0; with groups of classes, the sum of these over the groups.

        Args:
            maps: output of the head.
            targets: of the same frames.
            progress: share of the training done, in [0, 1].

        Returns:
            Scalars in float32, weights applied.
        """
        cfg = self.classification
        per_cell = self.heatmap_loss(maps.heatmap, targets.heatmap, cfg, progress=progress)  # (B, K, H, W)
        if maps.group_of_class is None:
            return Losses(self._divide_sums(maps, targets, per_cell))
        parts = [
            self._divide_sums(group, targets.select_classes(classes), per_cell[:, list(classes)])
            for group, classes in zip(maps.split_groups(), maps.list_groups(), strict=True)
        ]
        return Losses({name: torch.stack([part[name] for part in parts]).sum() for name in parts[0]})

    def _divide_sums(self, maps: CenterMaps, targets: CenterTargets, per_cell: Tensor) -> dict[str, Tensor]:
        """The losses of one group's maps, targets and loss per cell."""
        code = gather_cells(maps.box_code(), targets.frame, targets.cell)  # (N, 6 + C)
        sums = {"heatmap": self._sum_heatmap_loss(per_cell, targets), "box": self._sum_box_loss(code, targets)}
        if maps.iou is not None:
            sums |= {"iou": self._sum_iou_loss(maps.iou, code, targets)}
        if maps.velocity is not None:
            sums |= {"velocity": self._sum_velocity_loss(maps.velocity, targets)}
        if self.regression.iou_regression != "none":
            loss = center_iou_regression_loss(code, targets, self.grid, self.regression.iou_regression)
            sums |= {"iou_regression": self.regression.weight_iou_regression * loss.sum()}
        normalizers = self.count_normalizers(targets)
        return {name: loss / normalizers[name].clamp(min=1) for name, loss in sums.items()}

    def _sum_heatmap_loss(self, per_cell: Tensor, targets: CenterTargets) -> Tensor:
        """Sum over cells; where the settings say so, a peak counts once for each object that has it."""
        total = per_cell.sum()
        if getattr(self.classification, "shared_peaks", "once") == "per_object":
            place = (targets.frame * per_cell.shape[1] + targets.label) * per_cell[0, 0].numel() + targets.cell
            cell, count = torch.unique(place, return_counts=True)
            total = total + (per_cell.flatten()[cell] * (count - 1)).sum()
        return self.classification.weight * total

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

    def _count_velocities(self, velocity: Tensor) -> Tensor:
        """Count the rows of `velocity` (N, 2) that the velocity's loss is divided by."""
        known = velocity.isfinite().all(dim=1)
        return (known if self.regression.velocity_mean == "known" else torch.ones_like(known)).sum()
