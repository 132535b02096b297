"""The two casters against each other, and the numba one against itself without culling."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import ConvexHull, HalfspaceIntersection

from pcdet_poly.simulation.geometry import rotation_matrices
from pcdet_poly.simulation.lidar.cast import Instances, MeshCaster, cast_solids
from pcdet_poly.simulation.lidar.ray_entry import enter_solid
from pcdet_poly.simulation.lidar.rays import NOTHING, Beams, Hits
from pcdet_poly.simulation.lidar.sensor import Lidar, build_waymo_lidars
from pcdet_poly.simulation.solids.materials import Material
from pcdet_poly.simulation.solids.mesh import Mesh
from pcdet_poly.simulation.solids.shapes import Shapes, block, cylinder, ellipsoid, prism
from tests.tolerances import FLOAT64_CANCELLED, error_of_mean, error_of_spread

SEED = np.uint64(7)
CAB = [(-1.0, 0.2), (1.2, 0.2), (0.6, 1.5), (-0.8, 1.6)]
SHAPES = {
    "block": block((0.3, -0.2, 0.9), (4.0, 1.8, 1.4), Material.METAL, yaw=0.4, pitch=0.2),
    "prism": prism(CAB, (0.9, 0.6), Material.CAR_PAINT),
    "cylinder": cylinder((0.1, 0.2, 0.8), 0.7, 1.9, Material.WOOD, axis=(0.3, 1.0, 0.2)),
    "ellipsoid": ellipsoid((0.0, 0.1, 1.0), (1.5, 0.7, 0.9), Material.CLOTH),
}


def beams_of(lidar: Lidar, *, speed: float = 0.0) -> Beams:
    """A vehicle at the origin that drives along x."""
    mount = lidar.calibration.vehicle_from_lidar
    origin = mount[:3, 3] + np.outer(lidar.delay_s * speed, [1.0, 0.0, 0.0])
    return Beams(lidar, origin, np.broadcast_to(mount[:3, :3], (len(origin), 3, 3)).copy())


def placed(shapes: Shapes, position: tuple[float, float, float], yaw: float, velocity: tuple[float, ...]) -> Instances:
    rotation = rotation_matrices(np.array([0.0]), np.array([0.05]), np.array([yaw]))
    where = np.zeros(len(shapes), np.int64)
    return Instances(np.array([position]), np.array([velocity]), rotation, np.array([5], np.int32), shapes, where)


def mesh_of(name: str, instances: Instances) -> Mesh:
    """The same solid as triangles: exact for flat faces, finely cut for round ones."""
    shape = instances.shapes
    if name in ("block", "prism"):
        planes = shape.planes[0][np.abs(shape.planes[0]).sum(axis=1) > 0]
        corners = HalfspaceIntersection(planes * [1, 1, 1, -1], shape.center[0]).intersections
    else:
        u, v = np.meshgrid(np.linspace(0, 2 * np.pi, 240), np.linspace(0, np.pi, 120))
        unit = np.stack([np.cos(u) * np.sin(v), np.sin(u) * np.sin(v), np.cos(v)], axis=-1).reshape(-1, 3)
        if name == "ellipsoid":
            corners = shape.center[0] + unit * shape.size[0]
        else:
            axis, (radius, half, _) = shape.axis[0], shape.size[0]
            side = np.cross(axis, [1.0, 0, 0])
            side /= np.linalg.norm(side)
            ring = np.linspace(0, 2 * np.pi, 720)[:, None]
            circle = radius * (np.cos(ring) * side + np.sin(ring) * np.cross(axis, side))
            corners = shape.center[0] + np.concatenate([circle + half * axis, circle - half * axis])
    world = corners @ instances.rotation[0].T + instances.position[0]
    triangles = ConvexHull(world, qhull_options="QJ").simplices
    return Mesh(world, triangles, np.full(len(triangles), int(shape.material[0])))


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("lidar", [0, 1], ids=["top", "front"])
def test_numba_and_open3d_see_the_same_solid(name: str, lidar: int) -> None:
    sensor = build_waymo_lidars(0, top_shape=(64, 900), side_shape=(200, 600))[lidar]
    instances = placed(SHAPES[name], (9.0, 2.5, -0.3), 0.8, (0.0, 0.0, 0.0))
    beams, by_numba, by_open3d = beams_of(sensor), Hits.empty(sensor.shape), Hits.empty(sensor.shape)
    cast_solids(beams, instances, by_numba, SEED)
    MeshCaster(mesh_of(name, instances)).cast(beams, by_open3d)
    hit, other = np.isfinite(by_numba.range_m[0]), np.isfinite(by_open3d.range_m[0])
    assert hit.sum() > 50
    assert (hit != other).sum() <= 0.01 * hit.sum() + 2  # outlines: within the other's rounding and facets
    both = hit & other
    tolerance = 1e-4 if name in ("block", "prism") else 0.03
    np.testing.assert_allclose(by_numba.range_m[0][both], by_open3d.range_m[0][both], atol=tolerance)
    np.testing.assert_array_equal(by_numba.material[0][both], by_open3d.material[0][both])
    cosine = np.abs(by_numba.cosine[0][both] - by_open3d.cosine[0][both])
    assert np.quantile(cosine, 0.95) < (1e-3 if name in ("block", "prism") else 0.05)
    assert (by_numba.owner[0][hit] == 5).all()
    assert (by_numba.owner[0][~hit] == NOTHING).all()


def brute_force(beams: Beams, instances: Instances) -> np.ndarray:
    """(H, W) nearest hit, every ray against every solid at its own instant."""
    height, width = beams.lidar.shape
    nearest = np.full((height, width), np.inf)
    row, column = (grid.ravel() for grid in np.mgrid[:height, :width])
    directions = beams.compute_directions(row, column).reshape(height, width, 3)
    shapes = instances.shapes
    for j in range(width):
        moved = instances.position[0] + instances.velocity[0] * beams.lidar.delay_s[j]
        start = instances.rotation[0].T @ (beams.origin[j] - moved)
        for i in range(height):
            ray = tuple(instances.rotation[0].T @ directions[i, j])
            for s in range(len(shapes)):
                solid = shapes.planes[s], shapes.center[s], shapes.size[s], shapes.axis[s]
                enter, leave, _ = enter_solid(int(shapes.kind[s]), *solid, tuple(start), ray)
                if 0 < enter <= leave:
                    nearest[i, j] = min(nearest[i, j], enter)
    return np.where(beams.lidar.fires, nearest, np.inf)


@pytest.mark.parametrize(
    ("position", "velocity"),
    [
        ((8.0, 3.0, 0.0), (0.0, 0.0, 0.0)),
        ((6.0, -4.0, 0.0), (-14.0, 3.0, 0.0)),  # oncoming
        ((-7.0, 0.1, 0.0), (12.0, 0.0, 0.0)),  # where the sweep begins and ends
        ((0.5, 0.2, -1.0), (0.0, 0.0, 0.0)),  # around the sensor
    ],
)
def test_culling_loses_no_hit(position: tuple[float, float, float], velocity: tuple[float, float, float]) -> None:
    top = build_waymo_lidars(1, top_shape=(16, 180))[0]
    beams = beams_of(top, speed=11.0)
    instances = placed(Shapes.join(list(SHAPES.values())), position, -0.6, velocity)
    hits = Hits.empty(top.shape)
    cast_solids(beams, instances, hits, SEED)
    expected = brute_force(beams, instances)
    assert np.isfinite(expected).any() or position[2] < 0
    np.testing.assert_allclose(hits.range_m[0], expected, atol=FLOAT64_CANCELLED)


def test_two_nearest_hits_in_order_and_merged_with_the_mesh() -> None:
    top = build_waymo_lidars(0, top_shape=(32, 400))[0]
    beams = beams_of(top)
    near = placed(block((0, 0, 1.5), (0.5, 2, 3), Material.METAL), (8.0, 0.0, 0.0), 0.0, (0.0, 0.0, 0.0))
    far = placed(block((0, 0, 1.5), (0.5, 30, 3), Material.WOOD), (20.0, 0.0, 0.0), 0.0, (0.0, 0.0, 0.0))
    hits = Hits.empty(top.shape)
    MeshCaster(mesh_of("block", far)).cast(beams, hits)
    cast_solids(beams, near, hits, SEED)
    metal = hits.material[0] == Material.METAL
    metal &= np.isfinite(hits.range_m[0])
    assert metal.any()
    assert (hits.range_m[0] <= hits.range_m[1]).all()
    behind = metal & np.isfinite(hits.range_m[1])
    assert behind.any()
    assert (hits.material[1][behind] == Material.WOOD).all()


def test_leaves_stop_rays_at_exponential_depths() -> None:
    top = build_waymo_lidars(0, top_shape=(64, 2650))[0]
    beams, free_path = beams_of(top), 0.5
    cloud = block((0, 0, 0), (40.0, 4.0, 20.0), Material.LEAVES, free_path_m=free_path)
    solid = block((0, 0, 0), (40.0, 4.0, 20.0), Material.WOOD)
    at, still = (0.0, 12.0, 0.0), (0.0, 0.0, 0.0)
    leaves, surface = Hits.empty(top.shape), Hits.empty(top.shape)
    cast_solids(beams, placed(cloud, at, 0.0, still), leaves, SEED)
    cast_solids(beams, placed(solid, at, 0.0, still), surface, SEED)
    both = np.isfinite(leaves.range_m[0]) & np.isfinite(surface.range_m[0])
    depth = leaves.range_m[0][both] - surface.range_m[0][both]
    assert (depth > 0).all()
    assert np.mean(depth) == pytest.approx(free_path, abs=error_of_mean(free_path, len(depth)))
    assert np.std(depth) == pytest.approx(free_path, rel=error_of_spread(len(depth), kurtosis=9.0))


def test_nothing_to_cast() -> None:
    top = build_waymo_lidars(0, top_shape=(4, 10))[0]
    empty = placed(SHAPES["block"].take(np.zeros(0, np.int64)), (0.0, 0.0, 0.0), 0.0, (0.0, 0.0, 0.0))
    hits = Hits.empty(top.shape)
    cast_solids(beams_of(top), empty, hits, SEED)
    assert np.isinf(hits.range_m).all()
