"""A seed -> the scans of one segment."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pcdet_poly.simulation.cast import MeshCaster, cast_solids
from pcdet_poly.simulation.effects import measure
from pcdet_poly.simulation.geometry import inside_polygon, pose
from pcdet_poly.simulation.labels import label_objects, swept_at
from pcdet_poly.simulation.noise import seed_of
from pcdet_poly.simulation.rays import Beams, Hits
from pcdet_poly.simulation.scene import Scene, build_scene
from pcdet_poly.simulation.sensor import SIDE_SHAPE, SWEEP_S, TOP_SHAPE, Lidar, waymo_lidars
from pcdet_poly.waymo.scan import LidarScan, Scan

SIGHT_M = 82.0  # objects farther away are left out
_FIRST_TIMESTAMP_US = 1_550_000_000_000_000
_SEGMENTS_APART_US = 3_600_000_000


def simulate_segment(
    seed: int,
    *,
    name: str | None = None,
    num_frames: int = 200,
    interval_s: float = SWEEP_S,
    top_shape: tuple[int, int] = TOP_SHAPE,
    side_shape: tuple[int, int] = SIDE_SHAPE,
) -> Iterator[Scan]:
    """The scans of one segment, `interval_s` apart. Equal arguments give equal scans, bit by bit.

    `top_shape` and `side_shape` (beams, columns) make LiDARs coarser than Waymo's, for tests.
    """
    rng = np.random.default_rng(seed)
    times_s = np.arange(num_frames) * interval_s
    lidars = waymo_lidars(int(rng.integers(2)), top_shape=top_shape, side_shape=side_shape)
    context = _context(rng)
    scene = build_scene(rng, times_s)
    mesh = MeshCaster(scene.mesh.vertices, scene.mesh.triangles, scene.mesh.material)
    for number, timestamp_us in enumerate(segment_timestamps_us(seed, num_frames, interval_s)):
        yield _scan(scene, mesh, lidars, seed, number, number * interval_s, timestamp_us, name or f"sim{seed}", context)


def segment_timestamps_us(seed: int, num_frames: int, interval_s: float) -> list[int]:
    """When the sweeps of a simulated segment start; like Waymo's, apart from the instant of the pose."""
    first = _FIRST_TIMESTAMP_US + seed * _SEGMENTS_APART_US
    return [first + round((number * interval_s - SWEEP_S / 2) * 1e6) for number in range(num_frames)]


def _scan(
    scene: Scene,
    mesh: MeshCaster,
    lidars: tuple[Lidar, ...],
    seed: int,
    number: int,
    time_s: float,
    timestamp_us: int,
    name: str,
    context: dict[str, str],
) -> Scan:
    rotation, position = scene.ego_rotations(np.array([time_s]))[0], scene.ego_poses(np.array([time_s]))[1][0]
    world_from_vehicle = pose(rotation, position)
    index = scene.cast.near(time_s, position[:2], SIGHT_M)
    motion = scene.cast.motion(time_s, index)
    instances = scene.cast.instances(motion, index)
    scans, points = [], []
    for lidar in lidars:
        pixel_seed = seed_of(seed, number, lidar.calibration.lidar)
        beams, pixel_pose = _beams(scene, lidar, time_s)
        # Side LiDARs look at the instant at which the TOP one passes an object, so that both agree.
        seen = instances if lidar.rolls else scene.cast.instances(swept_at(motion, world_from_vehicle), index)
        hits = Hits.none(lidar.shape)
        mesh.cast(beams, hits)
        cast_solids(beams, seen, hits, pixel_seed)
        returns = measure(lidar, hits, scene.cast.tint, pixel_seed)
        measured = [_mark(beams, image, scene.no_label_zones) for image in returns]
        points += measured
        scans.append(LidarScan(lidar.calibration, returns, pixel_pose))
    in_vehicle = ((np.concatenate(points) - position) @ rotation).astype(np.float32)
    return Scan(
        lidars=tuple(scans),
        ground_truth=label_objects(scene, motion, index, world_from_vehicle, in_vehicle, seed, number),
        world_from_vehicle=world_from_vehicle,
        timestamp_us=timestamp_us,
        segment=name,
        no_label_zones=scene.no_label_zones,
        context=context,
    )


def _beams(scene: Scene, lidar: Lidar, time_s: float) -> tuple[Beams, np.ndarray | None]:
    """Columns in the world when they fire, and the vehicle's pose per pixel where it changes."""
    mount = lidar.calibration.vehicle_from_lidar
    times = time_s + lidar.delay_s
    angles, position = scene.ego_poses(times)
    rotation = scene.ego_rotations(times)
    beams = Beams(lidar, position + rotation @ mount[:3, 3], rotation @ mount[:3, :3])
    if not lidar.rolls:
        return beams, None
    per_column = np.concatenate([angles, position], axis=-1).astype(np.float32)  # (W, 6)
    return beams, np.broadcast_to(per_column, (*lidar.shape, 6)).copy()


def _mark(beams: Beams, image: np.ndarray, zones: tuple[np.ndarray, ...]) -> np.ndarray:
    """World points (P, 3) of a range image; sets its no-label-zone channel to 1 inside a zone."""
    row, column = np.nonzero(image[..., 0] > 0)
    points = beams.origin[column] + beams.directions(row, column) * image[row, column, :1]
    for zone in zones:
        inside = inside_polygon(points[:, :2], zone)
        image[row[inside], column[inside], 3] = 1.0
    return points


def _context(rng: np.random.Generator) -> dict[str, str]:
    """Waymo's notes on a segment; light and weather do not change a simulated LiDAR."""
    return {
        "time_of_day": str(rng.choice(["Day", "Night", "Dawn/Dusk"], p=[0.8, 0.1, 0.1])),
        "location": "location_simulated",
        "weather": "sunny",
    }
