"""Vectors in registers: what a kernel computes with them against the same in numpy."""

from __future__ import annotations

import numpy as np
import pytest
from numba.core.errors import TypingError

from pcdet_poly.ops.arrays.vectors import (
    LANES,
    Lanes,
    add,
    choose,
    is_equal,
    is_higher,
    is_lower,
    load_vector,
    multiply_add,
    split_columns,
    spread,
    store_vector,
)
from pcdet_poly.ops.compiler.kernel import kernel

FLOATS = (np.float32, np.float64)
SPECIAL = (0.0, -0.0, np.nan, np.inf, -np.inf, 1.0, -1.0)


@kernel
def _use_all(
    left: np.ndarray, right: np.ndarray, places: np.ndarray, result: np.ndarray, rows: np.ndarray, lanes: Lanes
) -> None:
    for at in range(0, len(left) - len(lanes) + 1, len(lanes)):
        a, b = load_vector(left, at, lanes), load_vector(right, at, lanes)
        zero, place = spread(left.dtype.type(0), lanes), load_vector(places, at, lanes)
        store_vector(result, at, add(a, b))
        store_vector(result, len(left) + at, multiply_add(a, right, at, b))
        store_vector(result, 2 * len(left) + at, choose(is_lower(a, b), a, zero))
        store_vector(result, 3 * len(left) + at, choose(is_higher(a, b), a, zero))
        store_vector(result, 4 * len(left) + at, choose(is_equal(place, spread(at % 3, lanes)), b, zero))
        store_vector(rows, at, choose(is_higher(a, b), place, spread(at, lanes)))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("lanes", LANES, ids=len)
def test_vectors_are_rows_of_numpy(lanes: Lanes, dtype: type) -> None:
    rng = np.random.default_rng(len(lanes))
    left, right = rng.standard_normal((2, 160)).astype(dtype)
    left[:49], right[:49] = np.repeat(SPECIAL, 7), np.tile(SPECIAL, 7)
    places = rng.integers(0, 3, 160).astype(np.int32)
    result: np.ndarray = np.empty((5, 160), dtype)
    rows = np.empty(160, np.int32)
    _use_all(left, right, places, result, rows, lanes)
    at = np.arange(160) // len(lanes) * len(lanes)
    is_raised = (left > right) | np.isnan(left)
    with np.errstate(invalid="ignore"):
        expected = (
            left + right,
            None,
            np.where(left < right, left, 0),
            np.where(is_raised, left, 0),
            np.where(places == at % 3, right, 0),
        )
        for row, wanted in zip(result, expected, strict=True):
            assert wanted is None or np.array_equal(row, wanted, equal_nan=True)
        assert np.array_equal(rows, np.where(is_raised, places, at))
        exact = left.astype(np.longdouble) + right[at].astype(np.longdouble) * right
        # Rounded once or twice, each time by half a unit of what is rounded.
        size = np.abs(exact) + np.abs(right[at] * right.astype(np.longdouble))
        error = np.abs(result[1] - exact)
    is_finite = np.isfinite(exact)
    assert (error[is_finite] <= np.finfo(dtype).eps * size[is_finite]).all()
    assert np.array_equal(result[1][~is_finite], exact[~is_finite].astype(dtype), equal_nan=True)


@pytest.mark.parametrize("width", range(1, 70))
def test_columns_are_all_in_vectors_of_one_size(width: int) -> None:
    first, lanes = split_columns(width)
    assert set((first[:, None] + np.arange(len(lanes))).ravel().tolist()) == set(range(width))
    assert all(number % len(lanes) == 0 for number in first[:-1])  # the last alone overlaps
    assert len(lanes) == 1 if width < 8 else len(lanes) >= 8


def test_other_arrays_and_types_are_refused() -> None:
    """Their numbers would be read from wrong places, or as others."""

    @kernel
    def copy(source: np.ndarray, target: np.ndarray, lanes: Lanes) -> None:
        store_vector(target, 0, load_vector(source, 0, lanes))

    target = np.zeros(8, np.float32)
    copy(np.arange(8, dtype=np.float32), target, (0,) * 4)
    assert target.tolist() == [0, 1, 2, 3, 0, 0, 0, 0]
    for source in (np.zeros(16, np.float32)[::2], np.zeros(8), np.zeros((8, 8), np.float32).T):
        with pytest.raises(TypingError):
            copy(source, target, (0,) * 4)
