"""What no-label zones must satisfy: finite polygons near the vehicle."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from pcdet_poly.checks.findings import Finding

_FAR_M = 2000.0  # from the vehicle to the nearest corner


def find_zone_faults(zones: Sequence[np.ndarray], world_from_vehicle: np.ndarray) -> Iterator[Finding]:
    """Yield what cannot or should not be in the no-label zones of one frame.

    Args:
        zones: polygons (K, 2) in metres, world frame.
        world_from_vehicle: (4, 4) pose of the frame.
    """
    for number, zone in enumerate(zones):
        if not np.isfinite(zone).all():
            yield Finding("zone", f"no-label zone {number} has a corner that is not finite; mend or drop it")
        elif len(zone) < 3:
            yield Finding("zone", f"no-label zone {number} has {len(zone)} corners, a polygon needs 3; drop it")
        elif np.abs(zone - world_from_vehicle[:2, 3]).max(axis=1).min() > _FAR_M:
            text = f"no-label zone {number} is farther than {_FAR_M:.0f} m: zones are in the world frame, as poses are"
            yield Finding("far zone", text, False)
