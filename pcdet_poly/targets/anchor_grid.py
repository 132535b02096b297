"""The anchors of a bird's-eye map: A per cell, numbered by row, column and position in the cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from pcdet_poly.config.sections.pointpillars import AnchorConfig, PointPillarsConfig
from pcdet_poly.structures import Grid


@dataclass(frozen=True)
class AnchorGrid:
    """The anchors of a map with `columns` x `rows` cells: in each, for every class in turn, one box per yaw."""

    columns: int
    rows: int
    first: tuple[float, float]  # x, y of the anchors in row 0 and column 0, metres
    step: tuple[float, float]  # from column to column and from row to row, metres
    classes: tuple[AnchorConfig, ...]  # in the order of the labels
    yaws_rad: tuple[float, ...]
    overlaps_in_float32: bool = False  # places, sides and overlaps by OpenPCDet's float32 arithmetic

    @classmethod
    def from_config(cls, grid: Grid, cfg: PointPillarsConfig, class_names: Sequence[str]) -> Self:
        """Lay out the anchors of a detector.

        Args:
            grid: cells of the output map, metres, vehicle frame.
            cfg: settings with the anchors by class name.
            class_names: classes in the order of the labels.

        Returns:
            The anchors of every cell.
        """
        columns, rows, _ = grid.shape
        by_name = {anchor.name: anchor for anchor in cfg.anchors}
        if cfg.anchors_at == "corners":
            first = grid.lower[:2]
            step = _compute_spacing(grid, 0, columns), _compute_spacing(grid, 1, rows)
        else:
            first = grid.lower[0] + grid.cell[0] / 2, grid.lower[1] + grid.cell[1] / 2
            step = grid.cell[:2]
        return cls(
            columns,
            rows,
            first,
            step,
            tuple(by_name[name] for name in class_names),
            cfg.yaws_rad,
            overlaps_in_float32=cfg.equal_overlaps == "float32",
        )

    @property
    def per_cell(self) -> int:
        """Number of anchors A in a cell."""
        return len(self.classes) * len(self.yaws_rad)

    def __len__(self) -> int:
        """Number of anchors N in all."""
        return self.columns * self.rows * self.per_cell

    def build_boxes(self, anchor: Tensor) -> Tensor:
        """The boxes (..., 7) float32, vehicle frame, of anchors' numbers (...) in [0, N)."""
        cell, position = anchor // self.per_cell, anchor % self.per_cell
        row_column = torch.stack([cell % self.columns, cell // self.columns], dim=-1).double()
        centre = row_column * row_column.new_tensor(self.step) + row_column.new_tensor(self.first)
        shape = torch.tensor(self._list_shapes(), dtype=torch.float64, device=anchor.device)[position]
        return torch.cat([centre, shape], dim=-1).float()

    def round_places(self, axis: int) -> Tensor:
        """Coordinates (columns,) for axis 0 or (rows,) for axis 1, metres, with OpenPCDet's rounding to float32.

        It rounds the ends of the grid, on which the outer anchors stand, and leaves the rest to `torch.arange` on a
        CPU, which rounds in its own way. Rounding alone tells anchors apart that overlap an object alike.
        """
        count = (self.columns, self.rows)[axis]
        ends = torch.tensor([self.first[axis], self.first[axis] + (count - 1) * self.step[axis]])  # float32
        first, step = float(ends[0]), float(ends[1] - ends[0]) / max(count - 1, 1)
        return torch.arange(first, float(ends[1]) + 1e-5, step or 1.0, dtype=torch.float32)[:count]

    def _list_shapes(self) -> list[tuple[float, ...]]:
        """Centre z, length, width, height and yaw of each anchor in a cell."""
        return [
            (each.bottom_z + each.size[2] / 2, *each.size, yaw_rad)
            for each in self.classes
            for yaw_rad in self.yaws_rad
        ]


def _compute_spacing(grid: Grid, axis: int, count: int) -> float:
    """Distance between neighbours of `count` points that are spread evenly from edge to edge, ends included."""
    return (grid.upper[axis] - grid.lower[axis]) / max(count - 1, 1)
