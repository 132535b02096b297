"""Every solid against the rays that may meet it.

A solid is bounded by a sphere, and above and below by planes. The columns and rows from which these
bounds can be seen are found first, so that a ray meets only the solids around its direction.
Tuples bundle the arrays of `Beams`, `Lidar`, `Instances`, `Shapes` and `Hits`, in the order in
which `cast_solids` gives them.
"""

from __future__ import annotations

import math

import numpy as np

from pcdet_poly.ops.compiler.kernel import kernel
from pcdet_poly.simulation.lidar.noise import draw_uniform, mix_hash
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
    """Merge the hits of all solids into `hits`.

    Args:
        columns: `Beams.origin`, `Beams.world_from_lidar`, `Lidar.delay_s`.
        lidar: `Lidar.azimuth_rad`, `.inclination_rad`, `.fires`, `.max_range_m`.
        objects: `Instances.position`, `.velocity`, `.rotation`, `.owner`, `.instance_of_shape`.
        solids: `Shapes.kind`, `.planes`, `.center`, `.size`, `.axis`, `.radius`, `.half_height`.
        surfaces: `Shapes.material`, `.free_path_m`, `.glass_z`.
        hits: `Hits.range_m`, `.cosine`, `.material`, `.owner`; changed in place.
        seed: Decides where leaves stop a ray.
    """
    azimuth, inclination, _, _ = lidar
    cosines = np.cos(azimuth), np.sin(azimuth), np.cos(inclination), np.sin(inclination)
    for s in range(len(solids[0])):
        window = _find_visible_pixels(s, columns, lidar, objects, solids)
        if window[0] < window[1]:
            _cast_solid(s, window, columns, lidar, cosines, objects, solids, surfaces, hits, seed)


@kernel
def _find_visible_pixels(
    s: int, columns: tuple, lidar: tuple, objects: tuple, solids: tuple
) -> tuple[int, int, int, int]:
    """First and last + 1 column (may pass W: wraps) and row from which solid `s` can be seen."""
    delay = columns[2]
    azimuth, inclination, _, max_range = lidar
    position, velocity, rotation, _, instance_of_shape = objects
    a, center, width = instance_of_shape[s], solids[2][s], len(azimuth)
    offset = _rotate(rotation[a], (center[0], center[1], center[2]))
    anchor = (position[a, 0] + offset[0], position[a, 1] + offset[1], position[a, 2] + offset[2])
    column, near, flat, up = _find_column(anchor, velocity[a], columns, azimuth[0])
    reach = solids[5][s] + _SLACK_M
    if near - reach > max_range:
        return 0, 0, 0, 0
    # Where the sweep begins and ends, an object may show on both sides: look wider there.
    moved = (math.sqrt((velocity[a] ** 2).sum()) + _FAST_M_S) * (delay[-1] - delay[0])
    if min(column, width - 1 - column) * 2.0 * math.pi / width * flat < reach + moved:
        reach += moved
    first, last = _find_rows(inclination, up, flat, reach, solids[6][s] + _TILT * reach)
    if flat <= reach:
        return 0, width, first, last
    half = int(math.asin(reach / flat) / (2.0 * math.pi) * width) + 2
    return column - half, min(column + half + 1, column - half + width), first, last


@kernel
def _cast_solid(
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
        turn = _multiply_transposed(rotation[a], world_from_lidar[j])
        o = _rotate_back(rotation[a], _subtract_moving(origin[j], position[a], velocity[a], delay[j]))
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
                draw = mix_hash(mix_hash(seed, i * width + j), s)
                depth, cosine = max(enter, 0.0), _LEAST_LEAF_COSINE + (1 - _LEAST_LEAF_COSINE) * draw_uniform(draw, 2)
                for layer in range(2):
                    depth -= free_path[s] * math.log(draw_uniform(draw, layer))
                    if depth < leave:
                        _insert_hit(hits, i, j, depth, cosine, material[s], owner[a])
            elif enter > 0.0:
                height = o[2] + enter * d[2]
                surface = _GLASS if glass_z[s, 0] < height < glass_z[s, 1] else material[s]
                _insert_hit(hits, i, j, enter, cosine, surface, owner[a])


@kernel
def _find_column(
    anchor: Vector, velocity: np.ndarray, columns: tuple, first_azimuth: float
) -> tuple[int, float, float, float]:
    """The column that sees a moving point, and the point's distance, horizontal distance and height there."""
    origin, world_from_lidar, delay = columns
    width = len(delay)
    column, near, flat, up = width // 2, 0.0, 0.0, 0.0
    for _ in range(4):  # each pass looks at the instant found by the last
        seen = _rotate_back(
            world_from_lidar[column], _subtract_moving(anchor, origin[column], velocity, -delay[column])
        )
        turned = (first_azimuth - math.atan2(seen[1], seen[0])) / (2.0 * math.pi)
        column = int((turned - math.floor(turned)) * width + 0.5) % width
        flat, up = math.hypot(seen[0], seen[1]), seen[2]
        near = math.hypot(flat, up)
    return column, near, flat, up


@kernel
def _find_rows(inclination: np.ndarray, up: float, flat: float, reach: float, half_height: float) -> tuple[int, int]:
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
def _insert_hit(hits: tuple, i: int, j: int, distance: float, cosine: float, material: int, owner: int) -> None:
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
def _subtract_moving(to: np.ndarray | Vector, start: np.ndarray, velocity: np.ndarray, time: float) -> Vector:
    """Compute to - start - velocity * time."""
    return (
        to[0] - start[0] - velocity[0] * time,
        to[1] - start[1] - velocity[1] * time,
        to[2] - start[2] - velocity[2] * time,
    )


@kernel
def _rotate(rotation: np.ndarray, v: Vector) -> Vector:
    """Multiply a vector by a rotation matrix."""
    return (
        rotation[0, 0] * v[0] + rotation[0, 1] * v[1] + rotation[0, 2] * v[2],
        rotation[1, 0] * v[0] + rotation[1, 1] * v[1] + rotation[1, 2] * v[2],
        rotation[2, 0] * v[0] + rotation[2, 1] * v[1] + rotation[2, 2] * v[2],
    )


@kernel
def _rotate_back(rotation: np.ndarray, v: Vector) -> Vector:
    """Multiply a vector by the transpose of a rotation matrix."""
    return (
        rotation[0, 0] * v[0] + rotation[1, 0] * v[1] + rotation[2, 0] * v[2],
        rotation[0, 1] * v[0] + rotation[1, 1] * v[1] + rotation[2, 1] * v[2],
        rotation[0, 2] * v[0] + rotation[1, 2] * v[1] + rotation[2, 2] * v[2],
    )


@kernel
def _multiply_transposed(outer: np.ndarray, inner: np.ndarray) -> tuple:
    """Multiply the transpose of `outer` by `inner`: nine numbers, row by row."""
    a = _rotate_back(outer, (inner[0, 0], inner[1, 0], inner[2, 0]))
    b = _rotate_back(outer, (inner[0, 1], inner[1, 1], inner[2, 1]))
    c = _rotate_back(outer, (inner[0, 2], inner[1, 2], inner[2, 2]))
    return a[0], b[0], c[0], a[1], b[1], c[1], a[2], b[2], c[2]
