"""Every solid against the rays that may meet it.

A solid is bounded by a sphere, and above and below by planes. The columns and rows from which these
bounds can be seen are found first, so that a ray meets only the solids around its direction.
Tuples bundle the arrays of `Beams`, `Lidar`, `Instances`, `Shapes` and `Hits`, in the order in
which `cast_solids` gives them.
"""

from __future__ import annotations

import math

import numpy as np

from pcdet_poly.ops.cpu.compile import kernel
from pcdet_poly.simulation.lidar.noise import mixed, uniform
from pcdet_poly.simulation.lidar.ray_entry import enter_solid
from pcdet_poly.simulation.solids.materials import Material

Vector = tuple[float, float, float]
_SLACK_M = 0.02  # around a bounding sphere: for what a column's time may be off by
_TILT = 0.15  # LiDARs, the ego and objects lean less than this against one another, radians
_FAST_M_S = 20.0  # no ego drives faster
_LEAST_LEAF_COSINE = 0.4
_GLASS = Material.GLASS.value


@kernel
def cast_every_solid(
    columns: tuple, lidar: tuple, objects: tuple, solids: tuple, surfaces: tuple, hits: tuple, seed: np.uint64
) -> None:
    """Merge the hits of all solids into `hits`."""
    azimuth, inclination, _, _ = lidar
    cosines = np.cos(azimuth), np.sin(azimuth), np.cos(inclination), np.sin(inclination)
    for s in range(len(solids[0])):
        window = _window(s, columns, lidar, objects, solids)
        if window[0] < window[1]:
            _cast_one(s, window, columns, lidar, cosines, objects, solids, surfaces, hits, seed)


@kernel
def _window(s: int, columns: tuple, lidar: tuple, objects: tuple, solids: tuple) -> tuple[int, int, int, int]:
    """First and last + 1 column (may pass W: wraps) and row from which solid `s` can be seen."""
    delay = columns[2]
    azimuth, inclination, _, max_range = lidar
    position, velocity, rotation, _, instance_of_shape = objects
    a, center, width = instance_of_shape[s], solids[2][s], len(azimuth)
    offset = _out_of(rotation[a], (center[0], center[1], center[2]))
    anchor = (position[a, 0] + offset[0], position[a, 1] + offset[1], position[a, 2] + offset[2])
    column, near, flat, up = _column_of(anchor, velocity[a], columns, azimuth[0])
    reach = solids[5][s] + _SLACK_M
    if near - reach > max_range:
        return 0, 0, 0, 0
    # Where the sweep begins and ends, an object may show on both sides: look wider there.
    moved = (math.sqrt((velocity[a] ** 2).sum()) + _FAST_M_S) * (delay[-1] - delay[0])
    if min(column, width - 1 - column) * 2.0 * math.pi / width * flat < reach + moved:
        reach += moved
    first, last = _rows_of(inclination, up, flat, reach, solids[6][s] + _TILT * reach)
    if flat <= reach:
        return 0, width, first, last
    half = int(math.asin(reach / flat) / (2.0 * math.pi) * width) + 2
    return column - half, min(column + half + 1, column - half + width), first, last


@kernel
def _cast_one(
    s: int,
    window: tuple,
    columns: tuple,
    lidar: tuple,
    cosines: tuple,
    objects: tuple,
    solids: tuple,
    surfaces: tuple,
    hits: tuple,
    seed: np.uint64,
) -> None:
    origin, world_from_lidar, delay = columns
    cos_azimuth, sin_azimuth, cos_inclination, sin_inclination = cosines
    position, velocity, rotation, owner, instance_of_shape = objects
    kind, planes, center, size, axis, _, _ = solids
    material, free_path, glass_z = surfaces
    fires, width, a = lidar[2], len(delay), instance_of_shape[s]
    for step in range(window[0], window[1]):
        j = step % width
        turn = _turned_back(rotation[a], world_from_lidar[j])
        o = _into(rotation[a], _gap(origin[j], position[a], velocity[a], delay[j]))
        for i in range(window[2], window[3]):
            if not fires[i, j]:
                continue
            x, y, z = cos_azimuth[j] * cos_inclination[i], sin_azimuth[j] * cos_inclination[i], sin_inclination[i]
            d = (
                turn[0] * x + turn[1] * y + turn[2] * z,
                turn[3] * x + turn[4] * y + turn[5] * z,
                turn[6] * x + turn[7] * y + turn[8] * z,
            )
            enter, leave, cosine = enter_solid(kind[s], planes[s], center[s], size[s], axis[s], o, d)
            if enter > leave or leave <= 0.0:
                continue
            if free_path[s] > 0.0:
                draw = mixed(mixed(seed, i * width + j), s)
                depth, cosine = max(enter, 0.0), _LEAST_LEAF_COSINE + (1 - _LEAST_LEAF_COSINE) * uniform(draw, 2)
                for layer in range(2):
                    depth -= free_path[s] * math.log(uniform(draw, layer))
                    if depth < leave:
                        _insert(hits, i, j, depth, cosine, material[s], owner[a])
            elif enter > 0.0:
                height = o[2] + enter * d[2]
                surface = _GLASS if glass_z[s, 0] < height < glass_z[s, 1] else material[s]
                _insert(hits, i, j, enter, cosine, surface, owner[a])


@kernel
def _column_of(
    anchor: Vector, velocity: np.ndarray, columns: tuple, first_azimuth: float
) -> tuple[int, float, float, float]:
    """The column that sees a moving point, and the point's distance, horizontal distance and height there."""
    origin, world_from_lidar, delay = columns
    width = len(delay)
    column, near, flat, up = width // 2, 0.0, 0.0, 0.0
    for _ in range(4):  # each pass looks at the instant found by the last
        seen = _into(world_from_lidar[column], _gap(anchor, origin[column], velocity, -delay[column]))
        turned = (first_azimuth - math.atan2(seen[1], seen[0])) / (2.0 * math.pi)
        column = int((turned - math.floor(turned)) * width + 0.5) % width
        flat, up = math.hypot(seen[0], seen[1]), seen[2]
        near = math.hypot(flat, up)
    return column, near, flat, up


@kernel
def _rows_of(inclination: np.ndarray, up: float, flat: float, reach: float, half_height: float) -> tuple[int, int]:
    """First and last + 1 row that can meet an upright cylinder at distance `flat` and height `up`."""
    first, last = 0, len(inclination)
    if flat <= reach:
        return first, last
    top, bottom = up + half_height, up - half_height
    highest = math.atan2(top, flat - reach if top > 0 else flat + reach)
    lowest = math.atan2(bottom, flat + reach if bottom > 0 else flat - reach)
    while first < last and inclination[first] > highest:
        first += 1
    while last > first and inclination[last - 1] < lowest:
        last -= 1
    return first, last


@kernel
def _insert(hits: tuple, i: int, j: int, distance: float, cosine: float, material: int, owner: int) -> None:
    """Keep the two nearest hits of pixel (i, j), the nearest first."""
    all_range, all_cosine, all_material, all_owner = hits
    if distance >= all_range[1, i, j]:
        return
    layer = 1
    if distance < all_range[0, i, j]:
        layer = 0
        all_range[1, i, j] = all_range[0, i, j]
        all_cosine[1, i, j] = all_cosine[0, i, j]
        all_material[1, i, j] = all_material[0, i, j]
        all_owner[1, i, j] = all_owner[0, i, j]
    all_range[layer, i, j] = distance
    all_cosine[layer, i, j] = cosine
    all_material[layer, i, j] = material
    all_owner[layer, i, j] = owner


@kernel
def _gap(to: np.ndarray | Vector, start: np.ndarray, velocity: np.ndarray, time: float) -> Vector:
    """to - start - velocity * time."""
    return (
        to[0] - start[0] - velocity[0] * time,
        to[1] - start[1] - velocity[1] * time,
        to[2] - start[2] - velocity[2] * time,
    )


@kernel
def _out_of(rotation: np.ndarray, v: Vector) -> Vector:
    """rotation v."""
    return (
        rotation[0, 0] * v[0] + rotation[0, 1] * v[1] + rotation[0, 2] * v[2],
        rotation[1, 0] * v[0] + rotation[1, 1] * v[1] + rotation[1, 2] * v[2],
        rotation[2, 0] * v[0] + rotation[2, 1] * v[1] + rotation[2, 2] * v[2],
    )


@kernel
def _into(rotation: np.ndarray, v: Vector) -> Vector:
    """rotation^T v."""
    return (
        rotation[0, 0] * v[0] + rotation[1, 0] * v[1] + rotation[2, 0] * v[2],
        rotation[0, 1] * v[0] + rotation[1, 1] * v[1] + rotation[2, 1] * v[2],
        rotation[0, 2] * v[0] + rotation[1, 2] * v[1] + rotation[2, 2] * v[2],
    )


@kernel
def _turned_back(outer: np.ndarray, inner: np.ndarray) -> tuple:
    """outer^T inner: nine numbers, row by row."""
    a = _into(outer, (inner[0, 0], inner[1, 0], inner[2, 0]))
    b = _into(outer, (inner[0, 1], inner[1, 1], inner[2, 1]))
    c = _into(outer, (inner[0, 2], inner[1, 2], inner[2, 2]))
    return a[0], b[0], c[0], a[1], b[1], c[1], a[2], b[2], c[2]
