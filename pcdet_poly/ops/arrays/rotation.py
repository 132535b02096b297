"""Cosine and sine of a heading, the same bits on every backend.

Only additions, subtractions and multiplications in float64, each rounded on its own: numba never
contracts them into fused multiply-adds, and the Triton kernels switch that off. So a box and a
point meet, and two boxes overlap, by the same number on a CPU and on a GPU.

The float32 nearest to a multiple of pi / 2 stands for that multiple: such a box lies exactly along
the axes. Every other heading is taken at its exact value.
"""

from __future__ import annotations

import numpy as np

from pcdet_poly.ops.compiler.kernel import kernel
from pcdet_poly.ops.precision import (
    C2,
    C4,
    C6,
    C8,
    C10,
    C12,
    C14,
    C16,
    HALF_PI,
    HALF_PI_HIGH,
    HALF_PI_LOW,
    QUADRANTS_PER_RAD,
    S3,
    S5,
    S7,
    S9,
    S11,
    S13,
    S15,
    S17,
)


@kernel
def cos_sin(angle_rad: float) -> tuple[float, float]:
    """Cosine and sine within 4e-16 of a float32 angle, given as float64. NaN and infinity give NaN."""
    quadrant = np.floor(angle_rad * QUADRANTS_PER_RAD + 0.5)
    rest = (angle_rad - quadrant * HALF_PI_HIGH) - quadrant * HALF_PI_LOW  # in [-pi / 4, pi / 4]
    if np.float32(quadrant * HALF_PI) == angle_rad:
        rest = 0.0
    s = rest * rest
    cosine = 1.0 + s * (C2 + s * (C4 + s * (C6 + s * (C8 + s * (C10 + s * (C12 + s * (C14 + s * C16)))))))
    sine = rest + rest * (s * (S3 + s * (S5 + s * (S7 + s * (S9 + s * (S11 + s * (S13 + s * (S15 + s * S17))))))))
    half_turns = np.floor(quadrant * 0.5)
    sign = 1.0 - 2.0 * (half_turns - 2.0 * np.floor(half_turns * 0.5))  # 1 or -1
    if quadrant != 2.0 * half_turns:
        return -sign * sine, sign * cosine
    return sign * cosine, sign * sine
