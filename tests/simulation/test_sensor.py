"""The LiDARs' geometry against Waymo's rules and real calibrations."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pcdet_poly.simulation.geometry import rotation_matrices, wrap_angle
from pcdet_poly.simulation.lidar.sensor import build_waymo_lidars
from pcdet_poly.waymo.range_image import beam_inclination_rad, column_azimuth_rad
from tests.tolerances import FLOAT64_SUM

HALF_OF_LAST = 5e-8  # of the seven digits after the point in which our calibration is written


@pytest.mark.parametrize("rig", [0, 1])
@pytest.mark.parametrize("shapes", [((64, 2650), (200, 600)), ((16, 100), (20, 60))], ids=["full", "small"])
def test_pixels_look_where_readers_think_they_do(rig: int, shapes: tuple[tuple[int, int], tuple[int, int]]) -> None:
    lidars = build_waymo_lidars(rig, top_shape=shapes[0], side_shape=shapes[1])
    assert [lidar.calibration.lidar for lidar in lidars] == [1, 2, 3, 4, 5]
    for lidar in lidars:
        height, width = lidar.shape
        assert (height, width) == shapes[lidar.calibration.lidar != 1]
        np.testing.assert_allclose(
            lidar.inclination_rad, beam_inclination_rad(lidar.calibration, height), atol=FLOAT64_SUM
        )
        np.testing.assert_allclose(lidar.azimuth_rad, column_azimuth_rad(lidar.calibration, width), atol=FLOAT64_SUM)
        rotation = lidar.calibration.vehicle_from_lidar[:3, :3]
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=FLOAT64_SUM)


def test_only_top_rolls_and_its_sweep_is_centred_on_the_frame() -> None:
    top, *sides = build_waymo_lidars(0)
    assert top.rolls
    assert not any(side.rolls for side in sides)
    assert top.delay_s[0] < -0.049
    assert abs(top.delay_s.mean()) < FLOAT64_SUM  # 2,650 columns are 265 whole groups
    assert (np.diff(top.delay_s) >= 0).all()
    assert all(3000 < side.fires.sum() < 5000 for side in sides)  # real frames: about 4,000 points each


def test_calibration_equals_the_real_records(real_data: Path) -> None:
    segments = json.loads((real_data / "waymo" / "calibration.json").read_text())["segments"].values()
    for rig, segment in enumerate(segments):
        by_number = {laser["laser_name"]: laser for laser in segment["lasers"].values()}
        for lidar in build_waymo_lidars(rig):
            calibration = lidar.calibration
            laser = by_number[calibration.lidar]
            extrinsic = np.reshape(laser["extrinsic_vehicle_from_lidar"], (4, 4))
            # Ours are written with seven digits after the point, and a rotation is a product of three.
            np.testing.assert_allclose(calibration.vehicle_from_lidar, extrinsic, atol=2e-7)
            np.testing.assert_allclose(calibration.beam_inclination_rad, laser["beam_inclinations"], atol=HALF_OF_LAST)
            ends = calibration.beam_inclination_min_rad, calibration.beam_inclination_max_rad
            wanted = laser["beam_inclination_min"], laser["beam_inclination_max"]
            assert ends == pytest.approx(wanted, abs=HALF_OF_LAST)


def test_rotations_equal_scipy() -> None:
    angles = np.random.default_rng(0).uniform(-3, 3, (20, 3))  # roll, pitch, yaw
    expected = Rotation.from_euler("xyz", angles).as_matrix()
    np.testing.assert_allclose(rotation_matrices(angles[:, 0], angles[:, 1], angles[:, 2]), expected, atol=FLOAT64_SUM)


def test_wrap_angle() -> None:
    angles = np.array([-7.0, -np.pi, 0.0, 3.0, np.pi, 10.0])
    wrapped = wrap_angle(angles)
    assert ((wrapped >= -np.pi) & (wrapped < np.pi)).all()
    np.testing.assert_allclose(np.exp(1j * wrapped), np.exp(1j * angles), atol=FLOAT64_SUM)
