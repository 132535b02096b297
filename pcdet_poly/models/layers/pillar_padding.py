"""Rows that fill every pillar up to one number of rows, computed once per pillar instead of once per row.

The published hard encoders hold so many rows per pillar. Rows without a point are zeros behind the decoration, go
through all layers like points, and take part in maxima and batch statistics. All of a pillar are alike, so that
their number and one of them are enough. V pillars, C channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor


class Pooled(NamedTuple):
    """Pools of a layer's outputs: what the next layer's batch norm and its pooled inputs need."""

    total: Tensor  # (V, C) sum over each pillar
    highest: Tensor  # (V, C) maximum over each pillar
    product: Tensor  # (C, C) sum of outer products over all rows; zeros in evaluation


@dataclass(frozen=True)
class Padding:
    """The rows without a point."""

    num_rows: Tensor  # (V,) int64, at least 0
    values: Tensor  # (V, C), or (1, C) where all pillars' are alike: one such row

    def apply_layer(self, weight: Tensor, shift: Tensor) -> Padding:
        """Send the rows through a layer: relu(row @ weight.T + shift).

        Args:
            weight: (D, C).
            shift: (V, D) of each pillar, or (1, D) of all.
        """
        return Padding(self.num_rows, (self.values @ weight.T + shift).relu())

    def add_to(self, pooled: Pooled) -> Pooled:
        """Add the rows to pools of points."""
        # Where all rows are alike, one product stands for all of them.
        times = self.num_rows.sum()[None] if len(self.values) == 1 else self.num_rows
        values = self.values.double()
        return Pooled(
            pooled.total + self.num_rows[:, None] * self.values,
            self.raise_maximum(pooled.highest, self.values),
            pooled.product + values.T @ (times[:, None] * values),
        )

    def raise_maximum(self, highest: Tensor, values: Tensor) -> Tensor:
        """Raise maxima (V, D) to `values`, (V, D) or (1, D), of the pillars that have such rows."""
        return torch.where(self.num_rows[:, None] > 0, torch.maximum(highest, values), highest)


def start_padding(features: Tensor, num_points: Tensor, max_points: int) -> Padding:
    """Return the rows of the first layer's inputs, which are zeros but for the last column, of ones.

    Args:
        features: (K, C) decorated points; only their number of columns and their dtype count.
        num_points: (V,) int64 points in each pillar, at most `max_points`.
        max_points: rows of every pillar.
    """
    row = features.new_zeros(1, features.shape[1])
    row[:, -1] = 1
    return Padding(max_points - num_points, row)
