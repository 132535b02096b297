"""The outputs of detection heads before decoding: logits and box codes."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from pcdet_poly.structures.sparse import Sites


class CellValues(NamedTuple):
    """What one group's branches say of N cells in each of B frames, float32."""

    code: Tensor  # (B, N, 6 + C) offset, z, size and the C channels of heading, as their coder reads them
    iou: Tensor | None  # (B, N, 1) 2 IoU - 1 of the cell's box, where the head has that branch
    velocity: Tensor | None  # (B, N, 2) x, y in the vehicle frame, m/s, where the head has that branch


@dataclass(frozen=True)
class CenterMaps:
    """Output of a centre head. B frames, K classes, H cells along y, W cells along x.

    With `group_of_class`, the classes of each of G groups have boxes of their own, and every map but the heatmap has G
    times the channels: those of the first group, then those of the second.
    """

    heatmap: Tensor  # (B, K, H, W) logits
    offset: Tensor  # (B, 2, H, W) centre x, y inside the cell, in cells
    z: Tensor  # (B, 1, H, W) centre height, metres
    size: Tensor  # (B, 3, H, W) log of length, width, height in metres
    heading: Tensor  # (B, 2, H, W) sin, cos; or for n bins (B, 2 n, H, W) logits, then residuals, in bins
    iou: Tensor | None = None  # (B, 1, H, W) 2 IoU - 1 of the cell's box, where the head has that branch
    velocity: Tensor | None = None  # (B, 2, H, W) x, y in the vehicle frame, m/s, where the head has that branch
    group_of_class: tuple[int, ...] | None = None  # K numbers in [0, G); None: one group

    def list_groups(self) -> tuple[tuple[int, ...], ...]:
        """The classes of each group, ascending."""
        numbers = self.group_of_class or (0,) * self.heatmap.shape[1]
        return tuple(tuple(k for k, i in enumerate(numbers) if i == group) for group in range(max(numbers) + 1))

    def split_groups(self) -> tuple[CenterMaps, ...]:
        """The maps of each group's classes alone, in their order."""
        if self.group_of_class is None:
            return (self,)
        groups = self.list_groups()
        names = [field.name for field in fields(self) if field.name not in ("heatmap", "group_of_class")]
        given = {name: value for name in names if (value := getattr(self, name)) is not None}
        parts = zip(*(value.chunk(len(groups), dim=1) for value in given.values()), strict=True)
        return tuple(
            CenterMaps(heatmap=self.heatmap[:, list(classes)], **dict(zip(given, part, strict=True)))
            for classes, part in zip(groups, parts, strict=True)
        )

    def read_cells(self, cell: Tensor, wanted: Tensor) -> CellValues:
        """Read what the branches of one group say of cells.

        Args:
            cell: (B, N) int64, y * W + x.
            wanted: (B, N) bool, cells whose values are used; here all are read.

        Returns:
            The values, float32.
        """

        def read(values: Tensor) -> Tensor:
            where = cell[:, None].expand(-1, values.shape[1], -1)
            return values.flatten(2).gather(2, where).float().transpose(1, 2)

        iou, velocity = (None if values is None else read(values) for values in (self.iou, self.velocity))
        return CellValues(read(self.box_code()), iou, velocity)

    def box_code(self) -> Tensor:
        """Offset, z, size and the C channels of heading, of one group: (B, 6 + C, H, W), as its coder reads it."""
        import torch

        return torch.cat([self.offset, self.z, self.size, self.heading], dim=1)


def join_groups(parts: Sequence[CenterMaps], group_of_class: tuple[int, ...] | None) -> CenterMaps:
    """Join the maps of groups, the inverse of `CenterMaps.split_groups`.

    Args:
        parts: of each group.
        group_of_class: K numbers; None for one group.
    """
    import torch

    if group_of_class is None:
        return parts[0]
    names = [field.name for field in fields(CenterMaps) if getattr(parts[0], field.name) is not None]
    joined = {name: torch.cat([getattr(part, name) for part in parts], dim=1) for name in names}
    order = sorted(range(len(group_of_class)), key=lambda k: group_of_class[k])  # classes as the heatmaps have them
    if order != sorted(order):
        joined["heatmap"] = joined["heatmap"][:, [order.index(k) for k in range(len(order))]]
    return CenterMaps(**joined, group_of_class=group_of_class)


@dataclass(frozen=True)
class AnchorMaps:
    """Output of an anchor head. B frames, N = H * W * A anchors by row, column and position in the cell, K classes."""

    logit: Tensor  # (B, N, K) one per class, of any anchor
    code: Tensor  # (B, N, 7) residuals of x, y, z, length, width, height, heading
    direction: Tensor  # (B, N, D) logits of the sectors of heading


@dataclass(frozen=True)
class RsnMaps:
    """Output of RSN: S points with a pixel, V voxels that its sparse part kept, n sectors of heading."""

    foreground: Tensor  # (S,) logits, of the batch's points that have a pixel, in their order
    sites: Sites  # the V voxels
    centre: Tensor  # (V, 3) their centres, metres, vehicle frame
    heatmap: Tensor  # (V,) logits
    offset: Tensor  # (V, 3) from the voxel's centre to the box's, metres
    size: Tensor  # (V, 3) log of length, width, height in metres
    heading: Tensor  # (V, 2 n) logits, then residuals, in sectors; see ops/heading_bins.py
