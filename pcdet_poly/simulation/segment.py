"""A seed -> the scans of one segment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from pcdet_poly.simulation.geometry import inside_polygon, pose, rotations
from pcdet_poly.simulation.labels import label_objects, swept_at
from pcdet_poly.simulation.lidar.cast import MeshCaster, cast_solids
from pcdet_poly.simulation.lidar.effects import measure
from pcdet_poly.simulation.lidar.noise import seed_of
from pcdet_poly.simulation.lidar.rays import Beams, Hits
from pcdet_poly.simulation.lidar.sensor import SIDE_SHAPE, SWEEP_S, TOP_SHAPE, Lidar, waymo_lidars
from pcdet_poly.simulation.street.actors import Motion
from pcdet_poly.simulation.street.scene import Scene, build_scene
from pcdet_poly.waymo.scan import LidarScan, Scan

SIGHT_M = 82.0  # objects farther away are left out
_FIRST_TIMESTAMP_US = 1_550_000_000_000_000
_SEGMENTS_APART_US = 3_600_000_000


@dataclass(frozen=True)
class _World:
    """What stays the same through a segment."""

    scene: Scene
    mesh: MeshCaster
    lidars: tuple[Lidar, ...]
    seed: int
    name: str
    context: Mapping[str, str]


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
    lidars = waymo_lidars(int(rng.integers(2)), top_shape=top_shape, side_shape=side_shape)
    context = _context(rng)
    scene = build_scene(rng, np.arange(num_frames) * interval_s)
    world = _World(scene, MeshCaster(scene.mesh), lidars, seed, name or f"sim{seed}", context)
    for number, timestamp_us in enumerate(segment_timestamps_us(seed, num_frames, interval_s)):
        yield _scan(world, number, number * interval_s, timestamp_us)


def segment_timestamps_us(seed: int, num_frames: int, interval_s: float) -> list[int]:
    """When the sweeps of a simulated segment start: as with Waymo's, half a sweep before the frame's pose."""
    first = _FIRST_TIMESTAMP_US + seed * _SEGMENTS_APART_US
    return [first + round((number * interval_s - SWEEP_S / 2) * 1e6) for number in range(num_frames)]


def beams_at(scene: Scene, lidar: Lidar, time_s: float) -> tuple[Beams, np.ndarray | None]:
    """Columns in the world when they fire around `time_s`; the vehicle's pose per pixel where it changes."""
    mount = lidar.calibration.vehicle_from_lidar
    angles, position = scene.ego_poses(time_s + lidar.delay_s)
    rotation = rotations(angles[:, 0], angles[:, 1], angles[:, 2])
    beams = Beams(lidar, position + rotation @ mount[:3, 3], rotation @ mount[:3, :3])
    if not lidar.rolls:
        return beams, None
    per_column = np.concatenate([angles, position], axis=-1).astype(np.float32)  # (W, 6)
    return beams, np.broadcast_to(per_column, (*lidar.shape, 6)).copy()


def _scan(world: _World, number: int, time_s: float, timestamp_us: int) -> Scan:
    scene = world.scene
    (angles,), (position,) = scene.ego_poses(np.array([time_s]))
    world_from_vehicle = pose(rotations(*angles), position)
    index = scene.cast.near(time_s, position[:2], SIGHT_M)
    motion = scene.cast.motion(time_s, index)
    # Side LiDARs look at the instant at which the TOP one passes an object, so that both agree.
    at_sweep = swept_at(motion, world_from_vehicle)
    scans, points = [], []
    for lidar in world.lidars:
        scan, measured = _look(world, lidar, number, time_s, motion if lidar.rolls else at_sweep, index)
        scans.append(scan)
        points += measured
    in_vehicle = ((np.concatenate(points) - position) @ world_from_vehicle[:3, :3]).astype(np.float32)
    return Scan(
        lidars=tuple(scans),
        ground_truth=label_objects(scene, at_sweep, index, world_from_vehicle, in_vehicle, (world.seed, number)),
        world_from_vehicle=world_from_vehicle,
        timestamp_us=timestamp_us,
        segment=world.name,
        no_label_zones=scene.no_label_zones,
        context=world.context,
    )


def _look(
    world: _World, lidar: Lidar, number: int, time_s: float, motion: Motion, index: np.ndarray
) -> tuple[LidarScan, list[np.ndarray]]:
    """One LiDAR's images, and the world points (P, 3) of each."""
    scene = world.scene
    seed = seed_of(world.seed, number, lidar.calibration.lidar)
    beams, pixel_pose = beams_at(scene, lidar, time_s)
    hits = Hits.none(lidar.shape)
    world.mesh.cast(beams, hits)
    cast_solids(beams, scene.cast.instances(motion, index), hits, seed)
    returns = measure(lidar, hits, scene.cast.tint, seed)
    points = [_mark(beams, image, scene.no_label_zones) for image in returns]
    return LidarScan(lidar.calibration, returns, pixel_pose), points


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
