"""Points in polygons, against shapely and by hand."""

from __future__ import annotations

import numpy as np
import pytest

from pcdet_poly.structures.polygons import find_points_in_polygons

SQUARE = np.array([[0, 0], [2, 0], [2, 2], [0, 2]], float)
ARROW = np.array([[0, 0], [4, 0], [4, 3], [2, 1], [0, 3]], float)  # not convex, with an edge along x


@pytest.mark.parametrize("turned", [ARROW, ARROW[::-1], np.roll(ARROW, 2, axis=0), ARROW[:, ::-1]])
def test_equals_shapely(turned: np.ndarray) -> None:
    shapely = pytest.importorskip("shapely")
    points = np.random.default_rng(1).uniform(-1, 5, (500, 2))
    expected = shapely.contains_xy(shapely.Polygon(turned), points[:, 0], points[:, 1])
    assert 0 < expected.sum() < len(points)
    np.testing.assert_array_equal(find_points_in_polygons(points, [turned]), expected)


def test_any_polygon_counts_and_overlaps_do_not_cancel() -> None:
    points = np.array([[1, 1], [3, 1], [9, 9], [11, 11]], np.float32)
    found = find_points_in_polygons(points, [SQUARE, SQUARE + 0.5, SQUARE + 10])
    assert found.tolist() == [True, False, False, True]


def test_no_points_and_no_polygons() -> None:
    assert find_points_in_polygons(np.zeros((3, 2)), []).tolist() == [False] * 3
    assert find_points_in_polygons(np.zeros((0, 2)), [SQUARE]).shape == (0,)


def test_is_as_exact_as_float64_at_world_coordinates() -> None:
    far = SQUARE + 20_000  # where float32 has steps of 2 mm
    points = np.array([[20_001, 20_001], [20_002 - 1e-9, 20_001], [20_002 + 1e-9, 20_001]])
    assert find_points_in_polygons(points, [far]).tolist() == [True, True, False]
