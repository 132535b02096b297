"""Beams -> hits: meshes through open3d, simple solids through numba."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pcdet_poly.optional_libraries import load_open3d
from pcdet_poly.simulation.lidar.cast_kernel import cast_every_solid
from pcdet_poly.simulation.lidar.rays import Beams, Hits
from pcdet_poly.simulation.solids.mesh import Mesh
from pcdet_poly.simulation.solids.shapes import Shapes

_NO_TRIANGLE = np.uint32(0xFFFFFFFF)


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

    def __init__(self, mesh: Mesh) -> None:
        self._open3d = load_open3d()
        tensor = self._open3d.core.Tensor
        self._scene = self._open3d.t.geometry.RaycastingScene(nthreads=1)
        self._scene.add_triangles(tensor(mesh.vertices.astype(np.float32)), tensor(mesh.triangles.astype(np.uint32)))
        self._material = mesh.material.astype(np.int8)

    def cast(self, beams: Beams, hits: Hits) -> None:
        """Write what the rays that fire hit into the nearest layer of `hits`, which must be empty."""
        row, column = beams.lidar.pixels
        rays = np.empty((len(row), 6), np.float32)
        rays[:, :3] = beams.origin[column]
        rays[:, 3:] = beams.compute_directions(row, column)
        answer = self._scene.cast_rays(self._open3d.core.Tensor(rays), nthreads=1)
        triangle = answer["primitive_ids"].numpy()
        hits.range_m[0, row, column] = answer["t_hit"].numpy()
        hits.cosine[0, row, column] = np.abs((answer["primitive_normals"].numpy() * rays[:, 3:]).sum(axis=1))
        hits.material[0, row, column] = self._material[np.where(triangle == _NO_TRIANGLE, 0, triangle)]


def cast_solids(beams: Beams, instances: Instances, hits: Hits, seed: np.uint64) -> None:
    """Merge what the rays hit of `instances` into `hits`.

    Args:
        beams: The LiDAR's columns when they fire, world frame.
        instances: Objects at that instant with the solids they are made of, world frame.
        hits: The two nearest surfaces along every ray; changed in place.
        seed: Decides where leaves stop a ray.
    """
    lidar, shapes = beams.lidar, instances.shapes
    cast_every_solid(
        (beams.origin, beams.world_from_lidar, lidar.delay_s),
        (lidar.azimuth_rad, lidar.inclination_rad, lidar.fires, lidar.max_range_m),
        (instances.position, instances.velocity, instances.rotation, instances.owner, instances.instance_of_shape),
        (shapes.kind, shapes.planes, shapes.center, shapes.size, shapes.axis, shapes.radius, shapes.half_height),
        (shapes.material, shapes.free_path_m, shapes.glass_z),
        (hits.range_m, hits.cosine, hits.material, hits.owner),
        seed,
    )
