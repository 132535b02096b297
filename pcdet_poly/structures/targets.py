"""The targets of detection heads, and the losses that compare a head's output with them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


@dataclass(frozen=True)
class CenterTargets:
    """Targets of a centre head: a dense heatmap, and the N objects of all frames at their cells."""

    heatmap: Tensor  # (B, K, H, W) float32 in [0, 1], 1 at peaks
    frame: Tensor  # (N,) int64 in [0, B)
    cell: Tensor  # (N,) int64, y * W + x
    label: Tensor  # (N,) int64 in [0, K)
    code: Tensor  # (N, 8) float32: offset x y (cells), z (m), log length width height, sin, cos
    velocity: Tensor | None = None  # (N, 2) float32: x, y in the vehicle frame, m/s; NaN where unknown
    box: Tensor | None = None  # (N, 7) float32, vehicle frame, where `code` may describe another place at the border

    def select_classes(self, classes: Sequence[int]) -> CenterTargets:
        """The heatmaps and objects of some classes, ascending, which are numbered anew in this order."""
        import torch

        chosen = torch.tensor(classes, device=self.label.device)
        kept = torch.isin(self.label, chosen)
        rows: dict[str, Any] = {
            field.name: None if (value := getattr(self, field.name)) is None else value[kept]
            for field in fields(self)
            if field.name != "heatmap"
        }
        rows["label"] = torch.searchsorted(chosen, rows["label"])
        return CenterTargets(heatmap=self.heatmap[:, list(classes)], **rows)


@dataclass(frozen=True)
class AnchorTargets:
    """Targets of an anchor head: M positive anchors of all frames, and which anchors count as background."""

    background: Tensor  # (B, N) bool; an anchor that is neither background nor positive is left out of the loss
    frame: Tensor  # (M,) int64 in [0, B)
    anchor: Tensor  # (M,) int64 in [0, N)
    label: Tensor  # (M,) int64 in [0, K)
    code: Tensor  # (M, 7) float32 residuals, in the order of AnchorMaps.code
    direction: Tensor  # (M,) int64 in [0, D), sector of heading


@dataclass(frozen=True)
class RsnTargets:
    """Targets of RSN that do not depend on its choice of voxels: foreground points, and the N boxes of all frames."""

    foreground: Tensor  # (S,) bool: lies in a box; of the batch's points that have a pixel, in their order
    counted: Tensor  # (S,) bool: lies in the frame's own sweep, which the labels belong to, and not in a past one
    frame: Tensor  # (N,) int64 in [0, B)
    box: Tensor  # (N, 7) float32


@dataclass(frozen=True)
class RsnVoxelTargets:
    """Targets of RSN's head at its V voxels."""

    heatmap: Tensor  # (V,) float32 in [0, 1], 1 at peaks
    box: Tensor  # (V, 7) float32: the box that the heatmap's value belongs to; any box where the value is 0


@dataclass(frozen=True)
class Losses:
    """Named scalar losses, weights applied, that add up to `total`."""

    parts: dict[str, Tensor]

    @property
    def total(self) -> Tensor:
        """Sum of the parts."""
        import torch

        return torch.stack(list(self.parts.values())).sum()
