"""Random numbers by address: the same pixel of the same frame always draws the same."""

from __future__ import annotations

import math

import numpy as np

from pcdet_poly.ops.compiler.kernel import kernel

_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_TO_UNIT = 1.0 / (1 << 53)


@kernel
def mix_hash(seed: np.uint64, number: int) -> np.uint64:
    """A well mixed function of both (SplitMix64)."""
    value = seed + (np.uint64(number) + np.uint64(1)) * _STEP
    value = (value ^ (value >> np.uint64(30))) * _MIX_1
    value = (value ^ (value >> np.uint64(27))) * _MIX_2
    return value ^ (value >> np.uint64(31))


@kernel
def draw_uniform(seed: np.uint64, number: int) -> float:
    """In (0, 1)."""
    return (float(mix_hash(seed, number) >> np.uint64(11)) + 0.5) * _TO_UNIT


@kernel
def draw_normal(seed: np.uint64, number: int) -> float:
    """Standard normal, from two draws at `number`."""
    draw = mix_hash(seed, number)
    return math.sqrt(-2.0 * math.log(draw_uniform(draw, 0))) * math.cos(2.0 * math.pi * draw_uniform(draw, 1))


def combine_seeds(*numbers: int) -> np.uint64:
    """One seed from several numbers, for the functions above."""
    return np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0]
