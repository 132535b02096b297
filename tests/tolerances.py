"""How far two computations of one number may be apart, argued from arithmetic and not from what one machine gave.

Processors differ: in the order of a sum, in whether a product and a sum are rounded together (fused multiply-add), in
the algorithm of a convolution. Whatever they do, a result is rounded after every operation by at most half a unit in
the last place. All the rest follows from the number of operations and the size of what is added.

A tolerance in a test is one of these names, a computation from them, or a number with its reason beside it
(`tests/test_tolerances.py` holds this).

Means and spreads of random draws may differ from what they estimate by four standard errors (`error_of_mean`,
`error_of_spread`). The draws are fixed by a seed and made of integers, so that a test which passes does so everywhere.
"""

from __future__ import annotations

import math

FLOAT32_ROUNDING = 2.0**-24

# Relative: a value that takes a few float32 operations, or one function (exp, log, sigmoid) that libraries round to
# within four units: sixteen roundings, those of both sides together.
FLOAT32_VALUE = 16 * FLOAT32_ROUNDING  # 1e-6

# The same as an error, of numbers below 16, of which one rounding is up to half a unit: 2**-21.
FLOAT32_BELOW_16 = 1e-6

# Relative: a sum or mean in float32 of fewer than 80 terms of one sign, which loses at most one rounding a term on
# either side; also of a few hundred, whose roundings are as good as independent.
FLOAT32_SUM = 1e-5

# The same where terms of both signs cancel all but a tenth.
FLOAT32_CANCELLED = 1e-4

# The same two in float64 (2**-53), with at least a thousand times as much room.
FLOAT64_SUM = 1e-12
FLOAT64_CANCELLED = 1e-9

# Three roundings of a float32 coordinate below 128 (m, or cells), each of up to 4e-6.
COORDINATE_M = 2e-5

# Beside a number with six digits after the point: half of its last digit, and as much for a sum in float32 below 8, as
# Waymo's op computes it.
SIX_DIGITS = 1e-6

BFLOAT16_ROUNDING = 2.0**-8  # eight significant bits

# Outputs and gradients of a network in float32, both sides computed by other kernels or in another grouping. An output
# of a layer is a sum of at most about 600 products (64 channels, 3 x 3 cells) of numbers that a norm has brought to
# about 1. Roundings are as good as independent, so a sum loses about sqrt(600) x 2**-24 = 1.5e-6. Twenty layers, whose
# errors add up at worst, lose 3e-5. Three times as much is allowed; a wrong weight, row or factor changes outputs by
# 0.01 or more.
NETWORK = {"rtol": 1e-4, "atol": 1e-4}

# The same in bfloat16 for up to eight layers one after the other: every one rounds its output.
BFLOAT16_NETWORK = {"rtol": 8 * BFLOAT16_ROUNDING, "atol": 8 * BFLOAT16_ROUNDING}


def float32_sum_error(num_terms: int, largest: float) -> float:
    """Return a bound on the difference of two float32 sums of the same products, in any order, fused or not.

    Each of the two makes at most `num_terms` roundings after another, of partial sums below `num_terms * largest`.

    Args:
        num_terms: number of products.
        largest: bound on the magnitude of a product.
    """
    return 2 * num_terms * FLOAT32_ROUNDING * num_terms * largest


def error_of_mean(deviation: float, num_draws: int) -> float:
    """Return four standard errors of the mean of independent draws.

    Args:
        deviation: standard deviation of a draw.
        num_draws: how many there are.
    """
    return 4 * deviation / math.sqrt(num_draws)


def error_of_spread(num_draws: int, *, kurtosis: float = 3.0) -> float:
    """Return four standard errors of the standard deviation of independent draws, as a share of it.

    Args:
        num_draws: how many there are.
        kurtosis: fourth moment over the variance squared: 3 of a normal, 9 of an exponential distribution.
    """
    return 4 * math.sqrt((kurtosis - 1) / (4 * num_draws))
