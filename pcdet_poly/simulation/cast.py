"""Rays of a LiDAR -> what they hit: meshes through open3d, simple solids through numba."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numba import njit

from pcdet_poly.simulation.materials import Material
from pcdet_poly.simulation.noise import mixed, uniform
from pcdet_poly.simulation.sensor import Lidar
from pcdet_poly.simulation.shapes import Shapes
from pcdet_poly.simulation.solids import enter_solid

NOTHING = -1  # object id of ground and buildings


@dataclass(frozen=True)
class Beams:
    """Where the columns of a LiDAR are when they fire, world frame."""

    lidar: Lidar
    origin: np.ndarray  # (W, 3) float64
    world_from_lidar: np.ndarray  # (W, 3, 3) float64

    def directions(self) -> np.ndarray:
        """(H, W, 3) float64 unit vectors in the world frame."""
        inclination, azimuth = self.lidar.inclination_rad[:, None], self.lidar.azimuth_rad[None, :]
        flat = np.cos(inclination)
        local = np.stack(
            np.broadcast_arrays(np.cos(azimuth) * flat, np.sin(azimuth) * flat, np.sin(inclination)), axis=-1
        )
        return np.matmul(local.transpose(1, 0, 2), self.world_from_lidar.transpose(0, 2, 1)).transpose(1, 0, 2)


@dataclass(frozen=True)
class Hits:
    """The nearest and the second nearest surface along every ray, H x W pixels."""

    range_m: np.ndarray  # (2, H, W) float64; inf: nothing there
    cosine: np.ndarray  # (2, H, W) float32, of incidence
    material: np.ndarray  # (2, H, W) int8
    owner: np.ndarray  # (2, H, W) int32: object id, or NOTHING

    @staticmethod
    def none(shape: tuple[int, int]) -> Hits:
        """Open sky."""
        full = (2, *shape)
        return Hits(
            range_m=np.full(full, np.inf),
            cosine=np.zeros(full, np.float32),
            material=np.zeros(full, np.int8),
            owner=np.full(full, NOTHING, np.int32),
        )


@dataclass(frozen=True)
class Instances:
    """A objects at one instant, and the S solids they are made of."""

    position: np.ndarray  # (A, 3) float64, world frame
    velocity: np.ndarray  # (A, 3) float64, m/s, world frame
    rotation: np.ndarray  # (A, 3, 3) float64, world from object
    owner: np.ndarray  # (A,) int32: what Hits.owner says
    shapes: Shapes
    instance_of_shape: np.ndarray  # (S,) int64


class MeshCaster:
    """A triangle mesh that does not move. Embree on one thread, through open3d."""

    def __init__(self, vertices: np.ndarray, triangles: np.ndarray, material: np.ndarray) -> None:
        """`vertices` (N, 3) world frame, `triangles` (T, 3), `material` (T,)."""
        open3d = _open3d()
        self._scene = open3d.t.geometry.RaycastingScene(nthreads=1)
        self._scene.add_triangles(
            open3d.core.Tensor(vertices.astype(np.float32)), open3d.core.Tensor(triangles.astype(np.uint32))
        )
        self._material = material.astype(np.int8)

    def cast(self, beams: Beams, hits: Hits) -> None:
        """Write what the rays that fire hit into the nearest layer of `hits`, which must be empty."""
        fires = beams.lidar.fires
        rays = np.empty((int(fires.sum()), 6), np.float32)
        rays[:, :3] = np.broadcast_to(beams.origin, (*fires.shape, 3))[fires]
        rays[:, 3:] = beams.directions()[fires]
        answer = self._scene.cast_rays(_open3d().core.Tensor(rays), nthreads=1)
        triangle = answer["primitive_ids"].numpy()
        found = triangle != np.uint32(0xFFFFFFFF)
        hits.range_m[0][fires] = answer["t_hit"].numpy()
        hits.cosine[0][fires] = np.abs(np.einsum("rc,rc->r", answer["primitive_normals"].numpy(), rays[:, 3:]))
        hits.material[0][fires] = self._material[np.where(found, triangle, 0)]


@cache
def _open3d() -> Any:
    """open3d needs libusb-1.0, which slim machines lack: the pip package brings one."""
    import ctypes

    import libusb_package

    ctypes.CDLL(str(libusb_package.get_library_path()), mode=ctypes.RTLD_GLOBAL)
    import open3d

    return open3d


def cast_solids(beams: Beams, instances: Instances, hits: Hits, seed: np.uint64) -> None:
    """Merge what the rays hit of `instances` into `hits`. `seed` decides where leaves stop a ray."""
    lidar, shapes = beams.lidar, instances.shapes
    if not len(shapes):
        return
    _cast_solids(
        beams.origin, beams.world_from_lidar, lidar.delay_s, lidar.azimuth_rad, lidar.inclination_rad, lidar.fires,
        instances.position, instances.velocity, instances.rotation, instances.owner, instances.instance_of_shape,
        shapes.kind, shapes.planes, shapes.center, shapes.size, shapes.axis, shapes.radius, shapes.material,
        shapes.free_path_m, shapes.glass_z, lidar.max_range_m,
        hits.range_m, hits.cosine, hits.material, hits.owner, seed,
    )  # fmt: skip


@njit(cache=True, nogil=True)
def _cast_solids(
    origin, world_from_lidar, delay, azimuth, inclination, fires,
    position, velocity, rotation, owner, instance_of_shape,
    kind, planes, center, size, axis, radius, material, free_path, glass_z, max_range,
    hit_range, hit_cosine, hit_material, hit_owner, seed,
):  # fmt: skip
    width = len(azimuth)
    cos_azimuth, sin_azimuth = np.cos(azimuth), np.sin(azimuth)
    cos_inclination, sin_inclination = np.cos(inclination), np.sin(inclination)
    for s in range(len(kind)):
        a = instance_of_shape[s]
        turn = rotation[a]
        # Sphere around the solid: its centre in the world at the frame's instant.
        anchor = position[a] + turn @ center[s]
        speed = math.sqrt((velocity[a] ** 2).sum())
        column, near, flat, up = _column_of(anchor, velocity[a], origin, world_from_lidar, delay, azimuth[0])
        reach = radius[s] + 0.02
        if near - reach > max_range:
            continue
        # Where the sweep begins and ends, an object may show on both sides: look wider there.
        edge = min(column, width - 1 - column)
        moved = (speed + 20.0) * (delay[-1] - delay[0])
        if edge * 2.0 * math.pi / width * flat < reach + moved:
            reach += moved
        half = width // 2 if flat <= reach else int(math.asin(reach / flat) / (2.0 * math.pi) * width) + 2
        first, last = _rows_of(inclination, up, near, reach)
        for step in range(column - half, min(column + half, column - half + width - 1) + 1):
            j = step % width
            frame = turn.T @ world_from_lidar[j]
            start = turn.T @ (origin[j] - position[a] - velocity[a] * delay[j])
            o = (start[0], start[1], start[2])
            for i in range(first, last):
                if not fires[i, j]:
                    continue
                x, y, z = cos_azimuth[j] * cos_inclination[i], sin_azimuth[j] * cos_inclination[i], sin_inclination[i]
                d = (
                    frame[0, 0] * x + frame[0, 1] * y + frame[0, 2] * z,
                    frame[1, 0] * x + frame[1, 1] * y + frame[1, 2] * z,
                    frame[2, 0] * x + frame[2, 1] * y + frame[2, 2] * z,
                )
                enter, leave, cosine = enter_solid(kind[s], planes[s], center[s], size[s], axis[s], o, d)
                if enter > leave or leave <= 0.0:
                    continue
                if free_path[s] > 0.0:
                    draw = mixed(mixed(seed, i * width + j), s)
                    cosine = 0.4 + 0.6 * uniform(draw, 2)
                    depth = max(enter, 0.0)
                    for layer in range(2):
                        depth -= free_path[s] * math.log(uniform(draw, layer))
                        if depth < leave:
                            _insert(
                                hit_range,
                                hit_cosine,
                                hit_material,
                                hit_owner,
                                i,
                                j,
                                depth,
                                cosine,
                                material[s],
                                owner[a],
                            )
                elif enter > 0.0:
                    kind_of_surface = material[s]
                    height = o[2] + enter * d[2]
                    if glass_z[s, 0] < height < glass_z[s, 1]:
                        kind_of_surface = Material.GLASS.value
                    _insert(
                        hit_range, hit_cosine, hit_material, hit_owner, i, j, enter, cosine, kind_of_surface, owner[a]
                    )


@njit(cache=True, nogil=True)
def _column_of(anchor, velocity, origin, world_from_lidar, delay, first_azimuth):
    """The column that sees a moving point, and the point's distance, horizontal distance and height there."""
    width = len(delay)
    column, near, flat, up = width // 2, 0.0, 0.0, 0.0
    for _ in range(4):
        seen = world_from_lidar[column].T @ (anchor + velocity * delay[column] - origin[column])
        turned = (first_azimuth - math.atan2(seen[1], seen[0])) / (2.0 * math.pi)
        column = int((turned - math.floor(turned)) * width + 0.5) % width
        flat, up = math.hypot(seen[0], seen[1]), seen[2]
        near = math.hypot(flat, up)
    return column, near, flat, up


@njit(cache=True, nogil=True)
def _rows_of(inclination, up, near, reach):
    """First and last + 1 row whose inclination can meet a sphere."""
    if near <= reach:
        return 0, len(inclination)
    middle, half = math.asin(up / near), math.asin(reach / near)
    first, last = 0, len(inclination)
    while first < last and inclination[first] > middle + half:
        first += 1
    while last > first and inclination[last - 1] < middle - half:
        last -= 1
    return first, last


@njit(cache=True, nogil=True, inline="always")
def _insert(hit_range, hit_cosine, hit_material, hit_owner, i, j, distance, cosine, material, owner):
    """Keep the two nearest hits of pixel (i, j), the nearest first."""
    if distance >= hit_range[1, i, j]:
        return
    layer = 1
    if distance < hit_range[0, i, j]:
        layer = 0
        hit_range[1, i, j] = hit_range[0, i, j]
        hit_cosine[1, i, j] = hit_cosine[0, i, j]
        hit_material[1, i, j] = hit_material[0, i, j]
        hit_owner[1, i, j] = hit_owner[0, i, j]
    hit_range[layer, i, j] = distance
    hit_cosine[layer, i, j] = cosine
    hit_material[layer, i, j] = material
    hit_owner[layer, i, j] = owner
