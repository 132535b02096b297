"""Which boxes lie in a no-label zone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pcdet_poly.structures.polygons import find_points_in_polygons


def find_boxes_in_zones(box: np.ndarray, zones: Sequence[np.ndarray]) -> np.ndarray:
    """Tell which boxes have their centre in one of the polygons.

    Waymo asks for this flag with every prediction and publishes no rule for it; the centre decides here.

    Args:
        box: (N, 7), x and y in the polygons' frame.
        zones: polygons (K, 2), closed by themselves, convex or not.

    Returns:
        (N,) bool.
    """
    return find_points_in_polygons(box[:, :2], zones)
