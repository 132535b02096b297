"""Columns of points into what a store keeps, against numpy."""

from __future__ import annotations

import numpy as np
import pytest

from pcdet_poly.ops.arrays.point_columns import (
    convert_to_uint8,
    decode_coordinate_steps,
    decode_float16,
    encode_coordinate_steps,
    encode_float16,
    insert_byte,
    split_bytes,
)

_MAX_FLOAT16 = 65504


def _same_as_numpy(values: np.ndarray) -> bool:
    values = values[np.abs(values) <= _MAX_FLOAT16]
    return np.array_equal(encode_float16(values.view(np.uint32)), values.astype(np.float16).view(np.uint16))


def test_every_float16_comes_back() -> None:
    every = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    every = every[np.isfinite(every)]
    assert _same_as_numpy(every.astype(np.float32))
    points = np.empty((len(every), 2), np.float32)
    decode_float16(every.view(np.uint16).astype(np.uint32), points, 1)
    assert np.array_equal(points[:, 1].copy().view(np.uint32), every.astype(np.float32).view(np.uint32))


def test_values_half_way_and_next_to_it_round_as_in_numpy() -> None:
    every = np.arange(0x7BFF + 1, dtype=np.uint16).view(np.float16).astype(np.float32)  # 0 to 65,504
    middle = (every[:-1] + every[1:]) / 2
    for values in (middle, np.nextafter(middle, np.float32(0)), np.nextafter(middle, np.float32(1e9))):
        assert _same_as_numpy(values)
        assert _same_as_numpy(-values)


def test_any_float32_rounds_as_in_numpy() -> None:
    bits = np.random.default_rng(0).integers(0, 1 << 32, 300_000, dtype=np.uint64).astype(np.uint32)
    assert _same_as_numpy(bits.view(np.float32))


@pytest.mark.parametrize("place", [0, 4095, 4096, 9999])
@pytest.mark.parametrize("value", [-0.0, -1.0, 0.5, 255.5, 256.0, 1e30, np.nan, np.inf, -np.inf])
def test_one_value_that_is_no_byte(value: float, place: int) -> None:
    values = (np.arange(10_000) % 256).astype(np.float32)
    small = np.empty(len(values), np.uint8)
    assert convert_to_uint8(values, small)
    assert np.array_equal(small, values)
    values[place] = value
    assert not convert_to_uint8(values, small)


def test_steps_are_of_rounded_positions() -> None:
    metres = np.random.default_rng(1).uniform(-65_536, 65_536, 10_000).astype(np.float32)
    metres[:6] = np.array([1, 3, 5, -1, -3, -5], np.float32) / 512  # half way: to the even 1/256 m, as np.rint
    steps = encode_coordinate_steps(metres, 256)
    signed = np.where(steps & 1, -(steps >> 1) - 1, steps >> 1)
    wanted = np.rint(metres.astype(np.float64) * 256)
    assert np.array_equal(np.cumsum(signed), wanted)
    points = np.empty((len(metres), 3), np.float32)
    decode_coordinate_steps(steps, 1 / 256, points, 1)
    assert np.array_equal(points[:, 1], wanted / 256)


@pytest.mark.parametrize("num_bytes", [1, 2, 4])
@pytest.mark.parametrize("count", [0, 1, 4096, 10_001])
def test_bytes_come_apart_and_together(num_bytes: int, count: int) -> None:
    words = np.random.default_rng(2).integers(0, 1 << (8 * num_bytes), count, dtype=np.uint64).astype(np.uint32)
    planes = np.empty((num_bytes, count), np.uint8)
    split_bytes(words, planes)
    assert np.array_equal(planes, words.astype("<u4").view(np.uint8).reshape(count, 4).T[:num_bytes])
    back = np.zeros(count, np.uint32)
    for position, plane in enumerate(planes):
        insert_byte(plane, position, back)
    assert np.array_equal(back, words)
