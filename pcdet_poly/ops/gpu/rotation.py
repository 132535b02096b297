"""Cosine and sine of a heading in Triton: the steps of ops/arrays/rotation.py, which explains them.

Launch every kernel that uses this with `enable_fp_fusion=False`, or its bits differ from the CPU's.
"""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
# (Triton's kernels take blocks, for which there is no type.)
from __future__ import annotations

import triton
import triton.language as tl

from pcdet_poly.ops import precision

HALF_PI = tl.constexpr(precision.HALF_PI)
HALF_PI_HIGH = tl.constexpr(precision.HALF_PI_HIGH)
HALF_PI_LOW = tl.constexpr(precision.HALF_PI_LOW)
QUADRANTS_PER_RAD = tl.constexpr(precision.QUADRANTS_PER_RAD)
C2, C4, C6, C8 = (tl.constexpr(c) for c in (precision.C2, precision.C4, precision.C6, precision.C8))
C10, C12, C14, C16 = (tl.constexpr(c) for c in (precision.C10, precision.C12, precision.C14, precision.C16))
S3, S5, S7, S9 = (tl.constexpr(s) for s in (precision.S3, precision.S5, precision.S7, precision.S9))
S11, S13, S15, S17 = (tl.constexpr(s) for s in (precision.S11, precision.S13, precision.S15, precision.S17))


@triton.jit
def cos_sin(angle_rad):
    """Cosine and sine of float32 angles, float64."""
    angle = angle_rad.to(tl.float64)
    quadrant = tl.floor(angle * QUADRANTS_PER_RAD + 0.5)
    rest = (angle - quadrant * HALF_PI_HIGH) - quadrant * HALF_PI_LOW
    rest = tl.where((quadrant * HALF_PI).to(tl.float32) == angle_rad, 0.0, rest)
    s = rest * rest
    cosine = 1.0 + s * (C2 + s * (C4 + s * (C6 + s * (C8 + s * (C10 + s * (C12 + s * (C14 + s * C16)))))))
    sine = rest + rest * (s * (S3 + s * (S5 + s * (S7 + s * (S9 + s * (S11 + s * (S13 + s * (S15 + s * S17))))))))
    half_turns = tl.floor(quadrant * 0.5)
    sign = 1.0 - 2.0 * (half_turns - 2.0 * tl.floor(half_turns * 0.5))
    odd = quadrant != 2.0 * half_turns
    return tl.where(odd, -sign * sine, sign * cosine), tl.where(odd, sign * cosine, sign * sine)
