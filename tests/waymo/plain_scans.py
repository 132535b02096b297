"""Scans of a flat street with parked vehicles, as plausible as they are small."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pcdet_poly.ops.arrays.points_in_boxes import count_points
from pcdet_poly.structures import GroundTruth, LidarCalibration
from pcdet_poly.waymo import LidarScan, Scan
from pcdet_poly.waymo.decode import convert_scan
from tests.waymo.scans import rigid

START_US = 1_553_735_853_462_203
PLACE_M = (1_234.5, -2_098.25, 12.5)  # numbers that float32 has
ROWS, COLUMNS, FAR_M = 16, 90, 40.0
NUM_OBJECTS = 5


def make_plain_scans(count: int = 3) -> list[Scan]:
    """Frames of one segment at 10 Hz by two LiDARs, two returns each; arrays of their own, which a test may spoil."""
    return [_make_scan(number) for number in range(count)]


def _make_scan(number: int) -> Scan:
    pose = rigid(0, 0, 0, PLACE_M[0] + number, *PLACE_M[1:])
    scan = Scan(
        lidars=(_make_lidar(1, 1.0, 1.8, pose, number), _make_lidar(2, 1.5, 1.0, None, number)),
        ground_truth=GroundTruth.empty(),
        world_from_vehicle=pose,
        timestamp_us=START_US + 100_000 * number,
        segment="plain",
        no_label_zones=(np.array([[0.0, 30], [9, 30], [9, 40]]) + PLACE_M[:2],),
        context={"time_of_day": "Day", "location": "nowhere", "weather": "sunny"},
    )
    points = convert_scan(scan).points
    far = points[np.hypot(points[:, 0], points[:, 1]) > 8, :2]
    places = far[np.linspace(7, len(far) - 7, NUM_OBJECTS).astype(int)]
    size = np.tile([4.5, 4.4, 1.6], (len(places), 1))
    box = np.column_stack([places, np.full(len(places), 0.6), size, np.arange(len(places))]).astype(np.float32)
    objects = GroundTruth(
        box=box,
        label=np.zeros(len(box), np.int64),
        level=np.ones(len(box), np.int64),
        num_points=count_points(points, box),
        track=np.array([f"object-{i}" for i in range(len(box))], np.str_),
        speed=np.zeros((len(box), 2), np.float32),
    )
    return replace(scan, ground_truth=objects)


def _make_lidar(lidar: int, x: float, height: float, pose: np.ndarray | None, number: int) -> LidarScan:
    """Rings on the ground, or at FAR_M; TOP has a list of inclinations and poses per pixel."""
    angles = np.linspace(-0.35, 0.05, ROWS)
    image = np.zeros((ROWS, COLUMNS, 4), np.float32)
    with np.errstate(divide="ignore"):
        ring = np.minimum(np.where(angles < 0, height / np.sin(-np.minimum(angles, -1e-3)), FAR_M), FAR_M)[::-1]
    image[..., 0] = ring[:, None]
    image[..., 1], image[..., 2], image[..., 3] = 0.25, 0.5, -1
    calibration = LidarCalibration(
        lidar=lidar,
        vehicle_from_lidar=rigid(0, 0, 0.2 * lidar, x, 0, height),
        beam_inclination_rad=angles if lidar == 1 else np.zeros(0),
        beam_inclination_min_rad=-0.35,
        beam_inclination_max_rad=0.05,
    )
    rng = np.random.default_rng(10 * number + lidar)
    first, second = (image + rng.uniform(0, 0.01, (ROWS, COLUMNS, 1)).astype(np.float32) * (1, 0, 0, 0) for _ in "12")
    images = first.astype(np.float32), second.astype(np.float32)
    if pose is None:
        return LidarScan(calibration, images)
    pixel = np.zeros((ROWS, COLUMNS, 6), np.float32)
    pixel[..., 3:] = pose[:3, 3]
    return LidarScan(calibration, images, pixel)
