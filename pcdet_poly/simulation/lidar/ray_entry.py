"""Ray against one convex solid, cylinder or ellipsoid."""

from __future__ import annotations

import math

import numpy as np

from pcdet_poly.ops.compiler.kernel import kernel
from pcdet_poly.simulation.solids.shapes import CONVEX, CYLINDER

# Each function returns (enter, leave, cosine): distances along the unit direction at which the ray
# enters and leaves the solid (enter > leave: it misses), and the cosine of incidence on entering.
MISS = (1.0, 0.0, 0.0)


@kernel
def enter_solid(
    kind: int, planes: np.ndarray, center: np.ndarray, size: np.ndarray, axis: np.ndarray, o: tuple, d: tuple
) -> tuple[float, float, float]:
    """Where a ray enters and leaves one solid. All vectors are in the object's frame, in metres.

    Args:
        kind: CONVEX, CYLINDER or ELLIPSOID.
        planes: (MAX_PLANES, 4) of a convex solid: inside where n . p <= d; zeros are unused.
        center: (3,) centre of a cylinder or ellipsoid.
        size: (3,) radii of an ellipsoid; radius, half length and 0 of a cylinder.
        axis: (3,) unit vector along a cylinder.
        o: The ray's origin, three numbers.
        d: The ray's direction, three numbers of unit length.

    Returns:
        Distances along the ray at which it enters and leaves (enter > leave: it misses), and the cosine of incidence.
    """
    if kind == CONVEX:
        return _enter_convex(planes, o, d)
    if kind == CYLINDER:
        return _enter_cylinder(center, size[0], size[1], axis, o, d)
    return _enter_ellipsoid(center, size, o, d)


@kernel
def _enter_convex(planes: np.ndarray, o: tuple, d: tuple) -> tuple[float, float, float]:
    enter, leave, cosine = -np.inf, np.inf, 0.0
    for k in range(planes.shape[0]):
        nx, ny, nz = planes[k, 0], planes[k, 1], planes[k, 2]
        if nx == 0.0 and ny == 0.0 and nz == 0.0:
            break
        gap = planes[k, 3] - (nx * o[0] + ny * o[1] + nz * o[2])
        along = nx * d[0] + ny * d[1] + nz * d[2]
        if along < 0.0:
            if gap / along > enter:
                enter, cosine = gap / along, -along
        elif along > 0.0:
            leave = min(leave, gap / along)
        elif gap < 0.0:
            return MISS
        if enter > leave:
            return MISS
    return enter, leave, cosine


@kernel
def _enter_cylinder(
    center: np.ndarray, radius: float, half: float, axis: np.ndarray, o: tuple, d: tuple
) -> tuple[float, float, float]:
    ox, oy, oz = o[0] - center[0], o[1] - center[1], o[2] - center[2]
    along_o = ox * axis[0] + oy * axis[1] + oz * axis[2]
    along_d = d[0] * axis[0] + d[1] * axis[1] + d[2] * axis[2]
    # Across the axis: a circle.
    px, py, pz = ox - along_o * axis[0], oy - along_o * axis[1], oz - along_o * axis[2]
    qx, qy, qz = d[0] - along_d * axis[0], d[1] - along_d * axis[1], d[2] - along_d * axis[2]
    a = qx * qx + qy * qy + qz * qz
    b = px * qx + py * qy + pz * qz
    c = px * px + py * py + pz * pz - radius * radius
    enter, leave, cosine = -np.inf, np.inf, 0.0
    if a > 1e-12:
        under = b * b - a * c
        if under < 0.0:
            return MISS
        root = math.sqrt(under)
        enter, leave, cosine = (-b - root) / a, (-b + root) / a, root / radius
    elif c > 0.0:
        return MISS
    # Along the axis: two end planes.
    if abs(along_d) > 1e-12:
        first, second = (-half - along_o) / along_d, (half - along_o) / along_d
        if first > second:
            first, second = second, first
        if first > enter:
            enter, cosine = first, abs(along_d)
        leave = min(leave, second)
    elif abs(along_o) > half:
        return MISS
    return enter, leave, cosine


@kernel
def _enter_ellipsoid(center: np.ndarray, radii: np.ndarray, o: tuple, d: tuple) -> tuple[float, float, float]:
    # Scaled so that the ellipsoid is the unit sphere; distances along the ray keep their meaning.
    ox, oy, oz = (o[0] - center[0]) / radii[0], (o[1] - center[1]) / radii[1], (o[2] - center[2]) / radii[2]
    dx, dy, dz = d[0] / radii[0], d[1] / radii[1], d[2] / radii[2]
    a = dx * dx + dy * dy + dz * dz
    b = ox * dx + oy * dy + oz * dz
    under = b * b - a * (ox * ox + oy * oy + oz * oz - 1.0)
    if under < 0.0:
        return MISS
    root = math.sqrt(under)
    enter = (-b - root) / a
    nx, ny, nz = (ox + enter * dx) / radii[0], (oy + enter * dy) / radii[1], (oz + enter * dz) / radii[2]
    norm = math.sqrt(nx * nx + ny * ny + nz * nz)
    cosine = -(nx * d[0] + ny * d[1] + nz * d[2]) / norm
    return enter, (-b + root) / a, cosine
