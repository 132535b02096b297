"""Small made-up scans."""

from __future__ import annotations

import numpy as np

from pcdet_poly.structures import GroundTruth, LidarCalibration
from pcdet_poly.waymo import LidarScan, Scan

ORIGIN_M = (12_345.678, -20_987.654, 123.456)  # far from the world's origin, as Waymo's frames are


def rotation(roll: float, pitch: float, yaw: float) -> np.ndarray:
    """(3, 3) rotation about x, then y, then z."""
    (cr, sr), (cp, sp), (cy, sy) = ((np.cos(a), np.sin(a)) for a in (roll, pitch, yaw))
    about_x = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    about_y = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    about_z = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def rigid(roll: float, pitch: float, yaw: float, x: float, y: float, z: float) -> np.ndarray:
    """(4, 4) rotation, then translation."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(roll, pitch, yaw)
    matrix[:3, 3] = x, y, z
    return matrix


def make_lidar(
    lidar: int, rng: np.random.Generator, *, rows: int = 4, columns: int = 9, returns: int = 2, uniform: bool = False
) -> LidarScan:
    """A LiDAR with random mounting, pixels and (TOP alone) pixel poses near ORIGIN_M."""
    calibration = LidarCalibration(
        lidar=lidar,
        vehicle_from_lidar=rigid(*rng.normal(0, [0.05, 0.05, 2.0, 1.5, 1.0, 0.5])),
        beam_inclination_rad=np.zeros(0) if uniform else np.sort(rng.uniform(-0.4, 0.1, rows)),
        beam_inclination_min_rad=-1.5,
        beam_inclination_max_rad=0.5,
    )
    images = tuple(_image(rng, rows, columns) for _ in range(returns))
    pose = None
    if lidar == 1 and returns:
        spread = [0.02, 0.02, 2.0, 0.5, 0.5, 0.1]
        pose = rng.normal([0, 0, 0, *ORIGIN_M], spread, (rows, columns, 6)).astype(np.float32)
    return LidarScan(calibration, images, pose)


def make_ground_truth(rng: np.random.Generator, count: int) -> GroundTruth:
    """Random objects of every class and level; every third one has no speed."""
    speed = rng.normal(0, 5, (count, 2)).astype(np.float32)
    speed[::3] = np.nan
    box = rng.normal(0, 20, (count, 7)).astype(np.float32)
    box[:, 3:6] = np.minimum(np.abs(box[:, 3:6]) + 0.1, 30)
    box[:, 6] = np.remainder(box[:, 6], 6)
    return GroundTruth(
        box=box,
        label=np.arange(count) % 4,
        level=np.arange(count) % 3,
        num_points=rng.integers(0, 500, count),
        track=np.array([f"object-{i}" for i in range(count)], np.str_),
        speed=speed,
    )


def make_scan(seed: int = 0, **lidar_options: int | bool) -> Scan:
    """All five LiDARs, seven objects, one no-label zone."""
    rng = np.random.default_rng(seed)
    return Scan(
        lidars=tuple(make_lidar(lidar, rng, uniform=lidar > 1, **lidar_options) for lidar in range(1, 6)),
        ground_truth=make_ground_truth(rng, 7),
        world_from_vehicle=rigid(0.01, -0.02, 2.5, *ORIGIN_M),
        timestamp_us=1_553_735_853_462_203 + seed,
        segment=f"made_up_{seed}",
        no_label_zones=(rng.normal(0, 50, (5, 2)),),
        context={"time_of_day": "Day", "location": "nowhere", "weather": "sunny"},
    )


def _image(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    image = rng.uniform(0, 1, (rows, columns, 4)).astype(np.float32)
    image[..., 0] = rng.choice([-1, 0, np.nan, 0.5, 7.25, 70.0], (rows, columns), p=[0.2, 0.1, 0.1, 0.1, 0.2, 0.3])
    image[..., 1] *= 1e5
    image[..., 3] = rng.choice([-1, 1], (rows, columns))
    return image
