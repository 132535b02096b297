"""Whether the vehicle moves in the direction in which it points, over a segment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from pcdet_poly.checks.findings import Finding
from pcdet_poly.structures import Frame

_STEP_M = 0.3  # from one frame to the next; smaller steps are noise
_ENOUGH = 10  # steps from which on shares say something
_ASTRAY = 0.5  # cosine of 60 degrees


@dataclass
class VehicleWay:
    """Steps of the vehicle from frame to frame."""

    steps: int = 0
    astray: int = 0  # of these, more than 60 degrees off the vehicle's own x axis
    _last: dict[str, np.ndarray] = field(default_factory=dict)  # segment -> place of its frame before

    def add(self, frame: Frame) -> None:
        """Take in one frame; those of a segment come in their order."""
        pose = frame.world_from_vehicle
        step = pose[:3, 3] - self._last.get(frame.segment, pose[:3, 3])
        self._last = {frame.segment: pose[:3, 3]}
        length = float(np.linalg.norm(step))
        if length > _STEP_M:
            self.steps += 1
            self.astray += bool(step @ pose[:3, 0] < _ASTRAY * length)

    def merge(self, other: VehicleWay) -> None:
        """Add what another one took in."""
        self.steps += other.steps
        self.astray += other.astray

    def find_faults(self) -> Iterator[Finding]:
        """Yield what the steps tell."""
        if self.steps >= _ENOUGH and self.astray > 0.8 * self.steps:
            text = (
                f"in {self.astray} of {self.steps} steps the vehicle moves backwards or sideways: poses are world from "
                "vehicle, x forward; inverted, or of another sensor?"
            )
            yield Finding("astray", text, False)
