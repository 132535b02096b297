"""Numbers that every backend computes with."""

from __future__ import annotations

# pi / 2 as a sum of two float64. The first has 33 significant bits, so that its product with a
# quadrant number below 2**20 is exact: headings beyond a million turns lose accuracy, nothing else.
HALF_PI = 1.5707963267948966
HALF_PI_HIGH = 1.5707963267341256
HALF_PI_LOW = 6.077100506506192e-11
QUADRANTS_PER_RAD = 0.6366197723675814

# An overlap smaller than this share of the smaller box is rounding (1e-15 m times an edge): none.
NO_OVERLAP = 1e-11

# Taylor coefficients of cosine (C) and sine (S): on [-pi / 4, pi / 4] the terms left out are below 1e-17.
C2, C4, C6, C8 = -1 / 2, 1 / 24, -1 / 720, 1 / 40320
C10, C12, C14, C16 = -1 / 3628800, 1 / 479001600, -1 / 87178291200, 1 / 20922789888000
S3, S5, S7, S9 = -1 / 6, 1 / 120, -1 / 5040, 1 / 362880
S11, S13, S15, S17 = -1 / 39916800, 1 / 6227020800, -1 / 1307674368000, 1 / 355687428096000

FINITE = 1e200  # more than any product of three float32; infinity and NaN are not below

WORD = 0xFFFFFFFF  # the largest 32-bit number
