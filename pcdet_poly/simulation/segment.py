"""A seed -> the scans of one segment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from pcdet_poly.simulation.geometry import pose_matrix, rotation_matrices
from pcdet_poly.simulation.labels import label_objects, move_to_sweep
from pcdet_poly.simulation.lidar.cast import MeshCaster, cast_solids
from pcdet_poly.simulation.lidar.effects import measure_returns
from pcdet_poly.simulation.lidar.noise import combine_seeds
from pcdet_poly.simulation.lidar.rays import Beams, Hits
from pcdet_poly.simulation.lidar.sensor import SIDE_SHAPE, SWEEP_S, TOP_SHAPE, Lidar, build_waymo_lidars
from pcdet_poly.simulation.street.actors import Motion
from pcdet_poly.simulation.street.scene import StreetScene, build_scene
from pcdet_poly.structures.polygons import find_points_in_polygons
from pcdet_poly.waymo.scan import LidarScan, Scan

SIGHT_M = 82.0  # objects farther away are left out
_FIRST_TIMESTAMP_US = 1_550_000_000_000_000
_SEGMENTS_APART_US = 3_600_000_000
LARGEST_SEED = 1_000_000_000  # times of frames are 64-bit numbers


@dataclass(frozen=True)
class _SegmentSetup:
    """What stays the same through a segment."""

    scene: StreetScene
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
    """Simulate the scans of one segment. Equal arguments give equal scans, bit by bit.

    Args:
        seed: Decides the street, its traffic and all noise.
        name: Name of the segment; "sim" and the seed if left out.
        num_frames: Number of scans.
        interval_s: Seconds between two scans; 0.1 is Waymo's.
        top_shape: Beams and columns of the TOP LiDAR; smaller shapes are for tests.
        side_shape: Beams and columns of each side LiDAR.

    Yields:
        Scans in order of time, as decoded from one of Waymo's records.
    """
    rng = np.random.default_rng(seed)
    lidars = build_waymo_lidars(int(rng.integers(2)), top_shape=top_shape, side_shape=side_shape)
    context = _draw_context(rng)
    scene = build_scene(rng, np.arange(num_frames) * interval_s)
    world = _SegmentSetup(scene, MeshCaster(scene.mesh), lidars, seed, name or f"sim{seed}", context)
    for number, timestamp_us in enumerate(list_timestamps_us(seed, num_frames, interval_s)):
        yield _simulate_scan(world, number, number * interval_s, timestamp_us)


def list_timestamps_us(seed: int, num_frames: int, interval_s: float) -> list[int]:
    """When the sweeps of a simulated segment start: as with Waymo's, half a sweep before the frame's pose.

    Args:
        seed: The segment's seed, on which its first timestamp depends.
        num_frames: Number of scans.
        interval_s: Seconds between two scans.

    Returns:
        Microseconds since 1970, ascending.
    """
    first = _FIRST_TIMESTAMP_US + seed * _SEGMENTS_APART_US
    return [first + round((number * interval_s - SWEEP_S / 2) * 1e6) for number in range(num_frames)]


def place_beams(scene: StreetScene, lidar: Lidar, time_s: float) -> tuple[Beams, np.ndarray | None]:
    """Place a LiDAR's columns in the world when they fire.

    Args:
        scene: The street, with the vehicle's way along it.
        lidar: The LiDAR, in the vehicle frame.
        time_s: The frame's instant, seconds after the segment's start.

    Returns:
        The columns in the world frame; and (H, W, 6) float32 roll, pitch, yaw, x, y, z of the vehicle for every pixel
        where its columns fire one after the other, else None.
    """
    mount = lidar.calibration.vehicle_from_lidar
    angles, position = scene.compute_ego_poses(time_s + lidar.delay_s)
    rotation = rotation_matrices(angles[:, 0], angles[:, 1], angles[:, 2])
    beams = Beams(lidar, position + rotation @ mount[:3, 3], rotation @ mount[:3, :3])
    if not lidar.rolls:
        return beams, None
    per_column = np.concatenate([angles, position], axis=-1).astype(np.float32)  # (W, 6)
    return beams, np.broadcast_to(per_column, (*lidar.shape, 6)).copy()


def _simulate_scan(world: _SegmentSetup, number: int, time_s: float, timestamp_us: int) -> Scan:
    scene = world.scene
    (angles,), (position,) = scene.compute_ego_poses(np.array([time_s]))
    world_from_vehicle = pose_matrix(rotation_matrices(*angles), position)
    index = scene.actors.find_near(time_s, position[:2], SIGHT_M)
    motion = scene.actors.move(time_s, index)
    # Side LiDARs look at the instant at which the TOP one passes an object, so that both agree.
    at_sweep = move_to_sweep(motion, world_from_vehicle)
    scans, points = [], []
    for lidar in world.lidars:
        scan, measured = _simulate_lidar(world, lidar, number, time_s, motion if lidar.rolls else at_sweep, index)
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


def _simulate_lidar(
    world: _SegmentSetup, lidar: Lidar, number: int, time_s: float, motion: Motion, index: np.ndarray
) -> tuple[LidarScan, list[np.ndarray]]:
    """One LiDAR's images, and the world points (P, 3) of each."""
    scene = world.scene
    seed = combine_seeds(world.seed, number, lidar.calibration.lidar)
    beams, pixel_pose = place_beams(scene, lidar, time_s)
    hits = Hits.empty(lidar.shape)
    world.mesh.cast(beams, hits)
    cast_solids(beams, scene.actors.place_solids(motion, index), hits, seed)
    returns = measure_returns(lidar, hits, scene.actors.tint, seed)
    points = [_mark_no_label_zones(beams, image, scene.no_label_zones) for image in returns]
    return LidarScan(lidar.calibration, returns, pixel_pose), points


def _mark_no_label_zones(beams: Beams, image: np.ndarray, zones: tuple[np.ndarray, ...]) -> np.ndarray:
    """World points (P, 3) of a range image; sets its no-label-zone channel to 1 inside a zone."""
    row, column = np.nonzero(image[..., 0] > 0)
    points = beams.origin[column] + beams.compute_directions(row, column) * image[row, column, :1]
    inside = find_points_in_polygons(points[:, :2], zones)
    image[row[inside], column[inside], 3] = 1.0
    return points


def _draw_context(rng: np.random.Generator) -> dict[str, str]:
    """Waymo's notes on a segment; light and weather do not change a simulated LiDAR."""
    return {
        "time_of_day": str(rng.choice(["Day", "Night", "Dawn/Dusk"], p=[0.8, 0.1, 0.1])),
        "location": "location_simulated",
        "weather": "sunny",
    }
