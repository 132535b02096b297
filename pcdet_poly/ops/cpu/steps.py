"""Steps between neighbouring points -> their coordinates."""

from __future__ import annotations

import numpy as np

from pcdet_poly.ops.cpu.compile import kernel

Array = np.ndarray


@kernel
def coordinates_of_steps(steps: Array, scale: float, points: Array, column: int) -> None:
    """Write the running sum of `steps` (P,) int32, times `scale`, into one column of points (P, C) float32.

    The sign of a step is in its lowest bit: 0, 1, 2, 3 mean 0, -1, 1, -2.
    """
    factor, position = np.float32(scale), np.int32(0)
    for p in range(len(steps)):
        step = steps[p]
        position += (step >> np.int32(1)) ^ -(step & np.int32(1))
        points[p, column] = np.float32(position) * factor
