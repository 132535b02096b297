"""Coordinates of points brought into rows, against numpy's columns."""

from __future__ import annotations

import numpy as np
import pytest
from numba.core.errors import TypingError

from pcdet_poly.ops.arrays.coordinate_rows import POINTS, split_coordinates


@pytest.mark.parametrize("num_columns", [3, 4, 5, 6, 8, 11])
def test_rows_are_the_columns_bit_for_bit(num_columns: int) -> None:
    rng = np.random.default_rng(num_columns)
    for num_points in range(3 * POINTS + 2):  # fewer than are read together, whole groups, and one more or less
        bits = rng.integers(0, 1 << 32, (num_points, num_columns), dtype=np.uint64).astype(np.uint32)  # NaN, too
        rows = np.full((3, num_points + 5), 7, np.uint32)
        x, y, z = rows.view(np.float32)
        split_coordinates(bits.view(np.float32), x, y, z)
        assert np.array_equal(rows[:, :num_points], bits[:, :3].T)
        assert (rows[:, num_points:] == 7).all()  # nothing behind the last point is written


def test_part_of_a_cloud_and_of_its_columns() -> None:
    points = np.random.default_rng(0).random((100, 9), np.float32)
    for part in (
        points[31:90],
        points[::3],
        points[5:77, 2:6],
        points[:, ::-1],
        points[:, ::3],
        np.asfortranarray(points),
        points[::-1, :3],
        np.broadcast_to(points[7, 3:6], (20, 3)),
    ):
        x, y, z = np.empty((3, len(part)), np.float32)
        split_coordinates(part, x, y, z)
        assert np.array_equal(np.stack([x, y, z], 1), part[:, :3])


def test_other_numbers_are_refused() -> None:
    """Their bits would be read as float32."""
    x, y, z = np.empty((3, 100), np.float32)
    with pytest.raises(TypingError):
        split_coordinates(np.zeros((100, 4)), x, y, z)
