"""Points sorted by pillar."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Pillars:
    """Where the points of each of V pillars lie among K points sorted by pillar. No pillar is empty."""

    start: Tensor  # (V + 1,) int64: pillar v holds the rows start[v] to start[v + 1]
    num_points: Tensor  # (V,) int64

    def __len__(self) -> int:
        return len(self.num_points)

    @cached_property
    def pillar_of_row(self) -> Tensor:
        """(K,) int64 ascending: each point's pillar."""
        import torch

        return torch.arange(len(self), device=self.start.device).repeat_interleave(self.num_points)
