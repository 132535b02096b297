"""Range images to points: a plain float64 version, and what Waymo's own code makes of the same record."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pcdet_poly.structures import POINT_COLUMNS, Frame, LidarCalibration
from pcdet_poly.waymo import LidarScan, Scan, convert_range_images, decode_frame, decode_scan, read_records
from pcdet_poly.waymo.range_image import beam_inclination_rad, column_azimuth_rad
from pcdet_poly.waymo.scan import LIDAR_NAMES
from tests.waymo.scans import make_lidar, make_scan, rigid


def plain_points(scan: Scan, returns: tuple[int, ...]) -> np.ndarray:
    """The conversion as its rules are stated, pixel by pixel, with 4 x 4 matrices in float64."""
    points = []
    for number in returns:
        for lidar in scan.lidars:
            if number <= len(lidar.returns):
                points += plain_image(lidar, number, scan.world_from_vehicle)
    return np.array(points, np.float64).reshape(-1, len(POINT_COLUMNS))


def plain_image(lidar: LidarScan, number: int, world_from_vehicle: np.ndarray) -> list[list[float]]:
    image, calibration = lidar.returns[number - 1].astype(np.float64), lidar.calibration
    rows, columns = image.shape[:2]
    low, high = calibration.beam_inclination_min_rad, calibration.beam_inclination_max_rad
    beams = list(calibration.beam_inclination_rad) or [(i + 0.5) / rows * (high - low) + low for i in range(rows)]
    mounting = calibration.vehicle_from_lidar
    points = []
    for row in range(rows):
        for column in range(columns):
            distance, intensity, elongation, zone = image[row, column]
            if not distance > 0:
                continue
            up = beams[rows - 1 - row]
            around = ((columns - column - 0.5) / columns * 2 - 1) * np.pi - np.arctan2(mounting[1, 0], mounting[0, 0])
            ray = np.array([np.cos(around) * np.cos(up), np.sin(around) * np.cos(up), np.sin(up)])
            point = mounting @ [*(ray * distance), 1]
            if lidar.pixel_pose is not None:
                world = rigid(*lidar.pixel_pose[row, column].astype(np.float64)) @ point
                point = np.linalg.inv(world_from_vehicle) @ world
            points.append([*point[:3], intensity, elongation, zone > 0, number, calibration.lidar])
    return points


@pytest.mark.parametrize("returns", [(1, 2), (1,), (2,)])
@pytest.mark.parametrize("size", [(4, 9), (1, 1), (3, 40)])
def test_equals_the_plain_version(returns: tuple[int, ...], size: tuple[int, int]) -> None:
    scan = make_scan(3, rows=size[0], columns=size[1])
    points, expected = convert_range_images(scan, returns), plain_points(scan, returns)
    assert points.dtype == np.float32
    assert points.shape == expected.shape
    # Both in float64 and then float32: half a unit of a coordinate, whichever way it falls.
    np.testing.assert_allclose(points[:, :3], expected[:, :3], rtol=1e-6, atol=2e-6)
    np.testing.assert_array_equal(points[:, 3:], expected[:, 3:].astype(np.float32))


def test_order_is_by_return_then_lidar_then_row() -> None:
    points = convert_range_images(make_scan(1))
    order = points[:, 6] * 10 + points[:, 7]
    assert np.all(np.diff(order) >= 0)
    assert set(order) == {10 * number + lidar for number in (1, 2) for lidar in range(1, 6)}


def test_no_images_no_points() -> None:
    scan = make_scan(2, returns=0)
    assert convert_range_images(scan).shape == (0, 8)
    assert convert_range_images(replace(scan, lidars=())).shape == (0, 8)


def test_an_image_without_measurements_between_others() -> None:
    rng = np.random.default_rng(0)
    lidars = [make_lidar(number, rng) for number in (1, 2, 3)]
    lidars[1] = replace(lidars[1], returns=(np.full((4, 9, 4), -1, np.float32),))
    scan = replace(make_scan(0), lidars=tuple(lidars))
    points = convert_range_images(scan)
    assert set(points[:, 7]) == {1, 3}
    # The same: coordinates below 128 m have roundings of 4e-6 m.
    np.testing.assert_allclose(points[:, :3], plain_points(scan, (1, 2))[:, :3], atol=1e-5)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.25, 0.26, 1.0])
def test_any_share_of_filled_pixels(share: float) -> None:
    scan = make_scan(6, rows=10, columns=10)
    for lidar in scan.lidars:
        for image in lidar.returns:
            image[..., 0] = np.where(np.arange(100).reshape(10, 10) < 100 * share, 5.0, -1.0)
    points = convert_range_images(scan)
    assert len(points) == round(2 * 5 * 100 * share)
    # As above.
    np.testing.assert_allclose(points[:, :3], plain_points(scan, (1, 2))[:, :3], rtol=1e-6, atol=2e-6)


def test_images_may_lie_anywhere_in_memory() -> None:
    scan = make_scan(7)
    expected = convert_range_images(scan)

    def moved(image: np.ndarray) -> np.ndarray:
        image = np.frombuffer(b"_" + image.tobytes(), "<f4", offset=1).reshape(image.shape)
        assert not image.flags.aligned
        return image

    lidars = [
        replace(
            lidar,
            returns=tuple(map(moved, lidar.returns)),
            pixel_pose=None if lidar.pixel_pose is None else moved(lidar.pixel_pose),
        )
        for lidar in scan.lidars
    ]
    assert any(lidar.pixel_pose is not None for lidar in lidars)
    np.testing.assert_array_equal(convert_range_images(replace(scan, lidars=tuple(lidars))), expected)


def test_first_return_alone_has_no_second() -> None:
    scan = make_scan(4, returns=1)
    assert len(convert_range_images(scan, (2,))) == 0
    np.testing.assert_array_equal(convert_range_images(scan, (1, 2)), convert_range_images(scan, (1,)))


def test_leaves_the_images_as_they_were() -> None:
    scan, same = make_scan(5), make_scan(5)
    convert_range_images(scan)
    for lidar, other in zip(scan.lidars, same.lidars, strict=True):
        assert all(image.flags.writeable for image in lidar.returns)
        for image, untouched in zip(lidar.returns, other.returns, strict=True):
            np.testing.assert_array_equal(image, untouched)


def calibration(yaw: float, beams: list[float]) -> LidarCalibration:
    return LidarCalibration(2, rigid(0, 0, yaw, 0, 0, 0), np.array(beams), -1.0, 0.5)


def test_row_0_is_the_highest_beam() -> None:
    np.testing.assert_array_equal(beam_inclination_rad(calibration(0, [-0.2, -0.1, 0.3]), 3), [0.3, -0.1, -0.2])
    np.testing.assert_allclose(beam_inclination_rad(calibration(0, []), 3), [0.25, -0.25, -0.75])


def test_middle_column_looks_forward_and_columns_turn_clockwise() -> None:
    azimuth = column_azimuth_rad(calibration(1.2, []), 601) + 1.2  # in the vehicle frame
    assert azimuth[300] == pytest.approx(0, abs=1e-12)
    assert azimuth[0] == pytest.approx(np.pi * 600 / 601)
    np.testing.assert_allclose(np.diff(azimuth), -2 * np.pi / 601)


@pytest.fixture(scope="module")
def synthetic(oracle: Path) -> Frame:
    """A record with all five LiDARs, both returns and pixel poses, 20 km from the world's origin."""
    (record,) = read_records(oracle / "waymo" / "synth_frame.tfrecord")
    return decode_frame(record)


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize(("lidar", "name"), LIDAR_NAMES.items())
def test_equals_the_official_conversion(oracle: Path, synthetic: Frame, lidar: int, name: str, number: int) -> None:
    """Sampled points; the sample's indices and the count pin the mask and the order of all others."""
    with np.load(oracle / "waymo" / "synth_frame_points.npz") as file:
        official, index, count, zone = (file[f"{name}_ri{number}{part}"] for part in ("", "_index", "_count", "_nlz"))
    points = synthetic.points
    points = points[(points[:, 6] == number) & (points[:, 7] == lidar)]
    assert len(points) == count
    # The official code rotates in float32 at world coordinates: up to 3.7 mm off for TOP.
    tolerance_m = 5e-3 if name == "TOP" else 2e-5
    assert np.abs(points[index, :3] - official[:, 3:]).max() < tolerance_m
    np.testing.assert_array_equal(points[index, 3:5], official[:, 1:3])
    np.testing.assert_array_equal(points[index, 5], zone > 0)


def double_precision(lidar: LidarScan, number: int, world_from_vehicle: np.ndarray, index: np.ndarray) -> np.ndarray:
    """x, y, z of some of an image's points in float64, turned by another library."""
    image, given = lidar.returns[number - 1], lidar.calibration
    row, column = (place[index] for place in np.nonzero(image[..., 0] > 0))
    up, around = beam_inclination_rad(given, image.shape[0])[row], column_azimuth_rad(given, image.shape[1])[column]
    ray = np.stack([np.cos(around) * np.cos(up), np.sin(around) * np.cos(up), np.sin(up)], axis=1)
    mounting = given.vehicle_from_lidar
    points = image[row, column, :1].astype(np.float64) * ray @ mounting[:3, :3].T + mounting[:3, 3]
    if lidar.pixel_pose is None:
        return points
    pose = lidar.pixel_pose[row, column].astype(np.float64)
    from_origin = Rotation.from_euler("xyz", pose[:, :3]).apply(points) + (pose[:, 3:] - world_from_vehicle[:3, 3])
    return np.linalg.solve(world_from_vehicle[:3, :3], from_origin.T).T


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize(("lidar", "name"), LIDAR_NAMES.items())
def test_is_nearer_to_double_precision_than_the_official_conversion(
    oracle: Path, lidar: int, name: str, number: int
) -> None:
    (record,) = read_records(oracle / "waymo" / "synth_frame.tfrecord")
    scan = decode_scan(record)
    with np.load(oracle / "waymo" / "synth_frame_points.npz") as file:
        official, index = file[f"{name}_ri{number}"][:, 3:], file[f"{name}_ri{number}_index"]
    points = convert_range_images(scan)
    points = points[(points[:, 6] == number) & (points[:, 7] == lidar)][index, :3]
    exact = double_precision(scan.lidars[lidar - 1], number, scan.world_from_vehicle, index)
    ours_m, official_m = (np.abs(given - exact).max() for given in (points, official))
    assert ours_m < 8e-6  # float32 of a coordinate up to 75 m is at most 3.8e-6 off
    assert ours_m < official_m


def test_real_frame_equals_the_official_conversion(real_data: Path) -> None:
    (record,) = read_records(real_data / "waymo" / "real_top_lidar_frame.tfrecord")
    points = decode_frame(record).points
    with np.load(real_data / "waymo" / "real_top_lidar_points_official.npz") as file:
        official = np.concatenate([file["return1"], file["return2"]])
        counts = [len(file["return1"]), len(file["return2"])]
    assert np.bincount(points[:, 6].astype(int))[1:].tolist() == counts == [133_153, 13_588]
    assert np.abs(points[:, :3] - official[:, 3:]).max() < 1e-4  # 2.5e-5 measured
    np.testing.assert_array_equal(points[:, 3:5], official[:, 1:3])
