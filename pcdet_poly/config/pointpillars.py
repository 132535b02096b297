"""Settings of PointPillars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pcdet_poly.config.data import GridConfig
from pcdet_poly.config.section import Section


class PointPillarsConfig(Section):
    """PointPillars: pillar encoder, bird's-eye backbone, anchor head."""

    kind: Literal["pointpillars"] = "pointpillars"
    """Which detector."""

    def problem_with(self, grid: GridConfig, classes: Sequence[str]) -> str | None:
        """Why this model cannot work on `grid` with `classes`, or None."""
        return None
