"""Columns of points <-> what a frame store keeps of them, over numpy arrays."""

from __future__ import annotations

import numpy as np

from pcdet_poly.ops.compiler.kernel import kernel

Array = np.ndarray

# Values looked at before a column may be given up. Blocks are slices because the compiler makes vector instructions
# of loops from 0 to a length only, which is ten times as fast.
_BLOCK = 4096
_LEAST_NORMAL = np.uint32(0x38800000)  # 2^-14 as a float32: float16 has fewer bits below it
_BIAS = np.uint32((127 - 15) << 10)  # between the two exponents, at float16's place


@kernel
def encode_coordinate_steps(metres: Array, per_metre: float) -> Array:
    """Encode float32 `metres` (P,), rounded to 1 / `per_metre`, as differences of neighbours (P,) int32.

    The first difference is from 0.
    The sign of a step is in its lowest bit: 0, -1, 1, -2 become 0, 1, 2, 3.
    """
    steps = np.empty(len(metres), np.int32)
    factor, before = np.float32(per_metre), np.int32(0)
    for p in range(len(metres)):
        position = np.int32(np.rint(metres[p] * factor))
        step = position - before
        steps[p] = (step << np.int32(1)) ^ (step >> np.int32(31))
        before = position
    return steps


@kernel
def decode_coordinate_steps(steps: Array, scale: float, points: Array, column: int) -> None:
    """Decode coordinates, the inverse of `encode_coordinate_steps`, into one column of points.

    Args:
        steps: (P,) int32.
        scale: metres of a step.
        points: (P, C) float32, changed in place.
        column: of points.
    """
    factor, position = np.float32(scale), np.int32(0)
    for p in range(len(steps)):
        step = steps[p]
        position += (step >> np.int32(1)) ^ -(step & np.int32(1))
        points[p, column] = np.float32(position) * factor


@kernel
def encode_float16(bits: Array) -> Array:
    """Round float32 of at most 65,504, as bits (P,) uint32, to the nearest float16, ties to even, as bits (P,) uint32.

    numpy's own conversion takes several times as long.
    """
    half = np.empty(len(bits), np.uint32)
    magnitudes = (bits & np.uint32(0x7FFFFFFF)).view(np.float32)
    for p in range(len(bits)):
        magnitude = bits[p] & np.uint32(0x7FFFFFFF)
        odd = (magnitude >> np.uint32(13)) & np.uint32(1)
        normal = ((magnitude + np.uint32(0xFFF) + odd) >> np.uint32(13)) - _BIAS
        small = np.uint32(np.rint(magnitudes[p] * np.float32(1 << 24)))
        sign = (bits[p] >> np.uint32(16)) & np.uint32(0x8000)
        half[p] = sign | (small if magnitude < _LEAST_NORMAL else normal)
    return half


@kernel
def decode_float16(bits: Array, points: Array, column: int) -> None:
    """Write finite float16 into one column of points.

    Args:
        bits: (P,) uint32 bits of float16.
        points: (P, C) float32, changed in place.
        column: of points.
    """
    magnitudes = ((bits & np.uint32(0x7FFF)) << np.uint32(13)).view(np.float32)  # 2^112 times too small
    for p in range(len(bits)):
        value = magnitudes[p] * np.float32(2.0**112)  # exact; subnormal float16 are subnormal here, too
        points[p, column] = -value if bits[p] >> np.uint32(15) else value


@kernel
def split_bytes(words: Array, planes: Array) -> None:
    """Write the lowest bytes of `words` (P,) uint32 into `planes` (B, P) uint8, the lowest first."""
    for start in range(0, len(words), _BLOCK):
        block = words[start : start + _BLOCK]
        for b in range(len(planes)):
            plane, shift = planes[b, start : start + _BLOCK], np.uint32(8 * b)
            for p in range(len(block)):
                plane[p] = block[p] >> shift


@kernel
def insert_byte(plane: Array, position: int, words: Array) -> None:
    """Put a plane of bytes into words.

    Args:
        plane: (P,) uint8.
        position: which byte of the words, 0 the lowest; it must be 0 in all words.
        words: (P,) uint32, changed in place.
    """
    shift = np.uint32(8 * position)
    for p in range(len(plane)):
        words[p] |= np.uint32(plane[p]) << shift


@kernel
def convert_to_uint8(values: Array, small: Array) -> bool:
    """Write float32 `values` (P,) into `small` (P,) uint8. False, with `small` in any state, if uint8 cannot hold one.

    -0.0 is such a value: the way back would lose its sign.
    """
    bits = values.view(np.uint32)
    for start in range(0, len(values), _BLOCK):
        block, stored = values[start : start + _BLOCK], small[start : start + _BLOCK]
        for p in range(len(block)):
            stored[p] = np.int32(block[p] if (block[p] >= 0) & (block[p] <= 255) else np.float32(0))
        given, back = bits[start : start + _BLOCK], stored.astype(np.float32).view(np.uint32)
        fits = True
        for p in range(len(block)):
            fits &= back[p] == given[p]
        if not fits:
            return False
    return True
