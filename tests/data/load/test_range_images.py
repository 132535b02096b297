"""Points back into range images: against images that points were made from, and against loops."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pcdet_poly.config.sections.data import AugmentConfig
from pcdet_poly.config.sections.rsn import RangeImageConfig
from pcdet_poly.data.load.augment import augment
from pcdet_poly.data.load.range_images import LARGEST, PIXEL, RANGE, add_pixel_columns, make_range_images
from pcdet_poly.data.load.sweeps import add_past_sweeps
from pcdet_poly.ops.arrays.range_image import NEIGHBOURS, assign_pixels, select_nearest_points
from pcdet_poly.simulation.segment import simulate_segment
from pcdet_poly.structures import Frame, GroundTruth, LidarCalibration
from pcdet_poly.waymo import decode_frame, encode_scan
from pcdet_poly.waymo.range_image import convert_range_images
from pcdet_poly.waymo.scan import LidarScan, Scan

ROWS, COLUMNS = 16, 90
SIZE = RangeImageConfig(rows=ROWS, columns=COLUMNS)
CHANGES = AugmentConfig(translation_m=0.5)


def a_scan(seed: int, *, beams: bool = True) -> Scan:
    """A parked car whose roof LiDAR sees random things in two of three pixels; a second LiDAR sees something too."""
    rng = np.random.default_rng(seed)
    image = rng.uniform([1, 0, 0, -1], [75, 3, 1.5, -1], (ROWS, COLUMNS, 4)).astype(np.float32)
    image[rng.random((ROWS, COLUMNS)) < 1 / 3, 0] = -1
    angles = np.sort(rng.uniform(-0.3, 0.1, ROWS)) if beams else np.zeros(0)
    mounting = np.eye(4)
    yaw = rng.uniform(-3, 3)
    mounting[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
    mounting[:3, 3] = 1.4, 0.1, 2.2
    top = LidarScan(LidarCalibration(1, mounting, angles, -0.3, 0.1), (image,))
    other = LidarScan(LidarCalibration(2, np.eye(4), np.zeros(0), -1.0, 0.5), (image[:4, :20].copy(),))
    return Scan((top, other), GroundTruth.empty(), np.eye(4), seed, "segment")


def frame_of(scan: Scan, **changes: object) -> Frame:
    calibrations = tuple(lidar.calibration for lidar in scan.lidars)
    points = convert_range_images(scan)
    return replace(
        Frame(points, scan.ground_truth, scan.world_from_vehicle, scan.timestamp_us, scan.segment),
        calibrations=calibrations,
        **changes,
    )


def expected_image(scan: Scan) -> np.ndarray:
    image = scan.lidars[0].returns[0]
    channels = np.clip(image[..., :3] / np.array(LARGEST), 0, 1)
    return np.where(image[..., :1] > 0, channels, 0).transpose(2, 0, 1)


@pytest.mark.parametrize("beams", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_gives_back_the_image_that_points_came_from(seed: int, beams: bool) -> None:
    scan = a_scan(seed, beams=beams)
    images = make_range_images([add_pixel_columns(frame_of(scan), SIZE)], SIZE)
    # Channels below 1: a quotient and a rounding in float32, 6e-8 each.
    np.testing.assert_allclose(images.image[0].numpy(), expected_image(scan), atol=1e-6)
    true_pixel = np.flatnonzero(scan.lidars[0].returns[0][..., 0] > 0)  # the order that points are made in
    assert images.pixel_of_point[: len(true_pixel)].tolist() == true_pixel.tolist()
    assert set(images.pixel_of_point[len(true_pixel) :].tolist()) == {-1}  # the other LiDAR's


def test_augmentation_moves_points_and_leaves_the_image() -> None:
    scan = a_scan(3)
    frame = add_pixel_columns(frame_of(scan), SIZE)
    changed = augment(frame, np.random.default_rng(0), CHANGES)
    plain, other = (make_range_images([one], SIZE) for one in (frame, changed))
    assert plain.image.equal(other.image)
    ranges = changed.points[:, changed.columns.index(RANGE)]
    shown = other.image.flatten(2)[0, 0, other.pixel_of_point.clamp(min=0)].numpy() * LARGEST[0]
    top = other.pixel_of_point.numpy() >= 0
    np.testing.assert_allclose(shown[top], ranges[top], rtol=1e-5)  # each point still points at its own pixel


def test_frames_follow_each_other() -> None:
    scans = [a_scan(4), a_scan(5)]
    frames = [add_pixel_columns(frame_of(scan), SIZE) for scan in scans]
    empty = replace(frames[0], points=frames[0].points[:0])
    images = make_range_images([frames[0], empty, frames[1]], SIZE)
    assert images.image.shape == (3, 3, ROWS, COLUMNS)
    assert not images.image[1].any()
    for position, scan in ((0, scans[0]), (2, scans[1])):
        # The same.
        np.testing.assert_allclose(images.image[position].numpy(), expected_image(scan), atol=1e-6)
    own = make_range_images([frames[1]], SIZE).pixel_of_point
    later = images.pixel_of_point[len(frames[0].points) :]
    assert later.equal(own.where(own < 0, own + 2 * ROWS * COLUMNS))


def test_each_sweep_has_an_image() -> None:
    scans = [a_scan(seed) for seed in (8, 7, 6)]  # the latest first
    poses = [np.eye(4) for _ in scans]
    poses[1][0, 3], poses[2][0, 3] = -1.0, -2.0
    scans = [
        replace(scan, world_from_vehicle=pose, timestamp_us=100_000 * (2 - i))
        for i, (scan, pose) in enumerate(zip(scans, poses, strict=True))
    ]
    frame, *past = (add_pixel_columns(frame_of(scan), SIZE) for scan in scans)
    joined = augment(add_past_sweeps(frame, past), np.random.default_rng(0), CHANGES)
    images = make_range_images([joined, frame], SIZE)
    assert images.image.shape[0] == 4
    for image, scan in zip(images.image, (*scans, scans[0]), strict=True):
        # The same.
        np.testing.assert_allclose(image.numpy(), expected_image(scan), atol=1e-6)
    age = joined.points[:, joined.columns.index("age")]
    sweep = images.pixel_of_point.numpy()[: len(age)] // (ROWS * COLUMNS)
    seen = sweep >= 0
    # Seconds below 1 in float32.
    np.testing.assert_allclose(age[seen], sweep[seen] * 0.1, atol=1e-6)


def test_without_calibration_every_row_takes_as_many_points() -> None:
    frame = replace(frame_of(a_scan(9)), calibrations=())
    own = frame.points[:, 7] == 1
    frame = replace(frame, points=frame.points[own][:, :5].copy(), columns=frame.columns[:5])
    pixel = add_pixel_columns(frame, RangeImageConfig(rows=8, columns=4000)).points[:, 5].astype(int)
    assert (pixel >= 0).all()
    count = np.bincount(pixel // 4000, minlength=8)
    assert count.min() > 0.9 * len(pixel) / 8
    height = frame.points[:, 2] - SIZE.lidar_m[2]
    angle = np.arctan2(height, np.hypot(frame.points[:, 0] - SIZE.lidar_m[0], frame.points[:, 1]))
    means = [angle[pixel // 4000 == row].mean() for row in range(8)]
    assert (np.diff(means) < 0).all()  # row 0 is the highest


def test_more_or_fewer_rows_than_beams() -> None:
    frame = frame_of(a_scan(10))
    for rows in (ROWS // 2, 2 * ROWS):
        pixel = add_pixel_columns(frame, RangeImageConfig(rows=rows, columns=COLUMNS)).points[:, -2]
        assert 0 <= pixel[pixel >= 0].min() < COLUMNS  # the highest beam is in row 0
        assert (rows - 1) * COLUMNS <= pixel.max() < rows * COLUMNS


def test_points_that_are_not_finite_have_no_pixel() -> None:
    frame = frame_of(a_scan(11))
    frame.points[5, 1] = np.nan
    images = make_range_images([add_pixel_columns(frame, SIZE)], SIZE)
    assert images.pixel_of_point[5] == -1
    assert images.image.isfinite().all()


def naive_place(order: np.ndarray, row: np.ndarray, column: np.ndarray, rows: int, columns: int) -> list[int]:
    taken: set[tuple[int, int]] = set()
    pixel = {}
    for point in order:
        spots = [(row[point] + dr, (column[point] + dc) % columns) for dr, dc in NEIGHBOURS]
        free = [spot for spot in spots if 0 <= spot[0] < rows and spot not in taken]
        place = free[0] if free else (row[point], column[point])
        taken.add(place)
        pixel[int(point)] = int(place[0] * columns + place[1])
    return [pixel[point] for point in range(len(order))]


@pytest.mark.parametrize("count", [0, 1, 40, 300])
def test_places_are_those_of_a_loop(count: int) -> None:
    rng = np.random.default_rng(count)
    row, column, order = rng.integers(0, 7, count), rng.integers(0, 11, count), rng.permutation(count)
    assert assign_pixels(order, row, column, 7, 11, NEIGHBOURS).tolist() == naive_place(order, row, column, 7, 11)


def test_a_pixel_shows_its_nearest_point() -> None:
    rng = np.random.default_rng(0)
    pixel = rng.integers(-1, 20, 200)
    range_m = rng.integers(1, 5, 200).astype(np.float32)  # many ties: the first wins
    shown = select_nearest_points(pixel, range_m, 25)
    for i, point in enumerate(shown):
        mine = np.flatnonzero(pixel == i)
        assert point == (mine[range_m[mine].argmin()] if len(mine) else -1)


@pytest.mark.slow
def test_points_of_a_driving_car_find_pixels_of_their_own() -> None:
    (scan,) = simulate_segment(1002, num_frames=1)
    frame = add_pixel_columns(decode_frame(encode_scan(scan), returns=(1,)), RangeImageConfig())
    pixel = frame.points[:, frame.columns.index(PIXEL)]
    top = pixel[frame.points[:, frame.columns.index("lidar")] == 1]
    assert (top >= 0).all()
    assert len(np.unique(top)) / len(top) > 0.98
