"""Which boxes lie in a no-label zone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def find_boxes_in_zones(box: np.ndarray, zones: Sequence[np.ndarray]) -> np.ndarray:
    """Tell which boxes have their centre in one of the polygons.

    Waymo asks for this flag with every prediction and publishes no rule for it; the centre decides here.

    Args:
        box: (N, 7), x and y in the polygons' frame.
        zones: polygons (K, 2), closed by themselves, convex or not.

    Returns:
        (N,) bool.
    """
    inside = np.zeros(len(box), bool)
    x, y = box[:, :1].astype(np.float64), box[:, 1:2].astype(np.float64)  # (N, 1)
    for zone in zones:
        (x0, y0), (x1, y1) = zone.T, np.roll(zone, -1, axis=0).T  # edges, (K,) each
        crosses = (y0 > y) != (y1 > y)  # (N, K): the edge passes the height of the centre
        with np.errstate(divide="ignore", invalid="ignore"):
            at = x0 + (y - y0) * (x1 - x0) / (y1 - y0)
        inside |= (crosses & (x < at)).sum(axis=1) % 2 == 1
    return inside
