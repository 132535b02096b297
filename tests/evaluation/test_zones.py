"""Centres in polygons, against shapely."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from pcdet_poly.evaluation import find_boxes_in_zones


def boxes_at(xy: np.ndarray) -> np.ndarray:
    return np.concatenate([xy, np.zeros((len(xy), 5))], axis=1).astype(np.float32)


@pytest.mark.parametrize("seed", range(20))
def test_equals_shapely_on_random_star_shapes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    zones = []
    for _ in range(rng.integers(0, 4)):
        angle = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 12)))
        radius = rng.uniform(1, 20, len(angle))
        zones.append(rng.uniform(-20, 20, 2) + radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1))
    box = boxes_at(rng.uniform(-40, 40, (300, 2)))
    points = shapely.points(box[:, :2].astype(np.float64))
    wanted = np.zeros(len(box), bool)
    for zone in zones:
        wanted |= shapely.contains(shapely.Polygon(zone), points)
    assert np.array_equal(find_boxes_in_zones(box, zones), wanted)


def test_no_zone_and_no_box() -> None:
    square = np.array([[0, 0], [2, 0], [2, 2], [0, 2.0]])
    assert find_boxes_in_zones(boxes_at(np.zeros((3, 2))), []).tolist() == [False] * 3
    assert find_boxes_in_zones(boxes_at(np.zeros((0, 2))), [square]).shape == (0,)
    assert find_boxes_in_zones(boxes_at(np.array([[1, 1], [3, 1], [-1, 1]])), [square]).tolist() == [True, False, False]
