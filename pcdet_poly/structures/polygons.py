"""Points in polygons of the plane."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def find_points_in_polygons(points: np.ndarray, polygons: Sequence[np.ndarray]) -> np.ndarray:
    """Tell which points lie in any of the polygons, by the even-odd rule in float64.

    A ray from the point towards +x crosses the edges of a polygon around it an odd number of times.

    Args:
        points: (P, 2) x and y.
        polygons: each (K, 2), the last corner is joined to the first; convex or not.

    Returns:
        (P,) bool.
    """
    x, y = points[:, 0].astype(np.float64), points[:, 1].astype(np.float64)
    inside = np.zeros(len(points), bool)
    for polygon in polygons:
        odd = np.zeros(len(points), bool)
        for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
            if y0 != y1:  # a ray along an edge does not cross it
                odd ^= ((y0 > y) != (y1 > y)) & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
        inside |= odd
    return inside
