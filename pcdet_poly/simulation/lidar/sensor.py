"""LiDARs as Waymo mounts them: beams, columns, firing pattern, reach."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pcdet_poly.simulation.geometry import pose_matrix, rotation_matrices
from pcdet_poly.simulation.lidar.calibration import RIGS, SIDE_INCLINATION_EDGES_RAD, Mount, Rig
from pcdet_poly.structures import TOP_LIDAR, LidarCalibration

SWEEP_S = 0.1  # one turn of the TOP LiDAR
# The vehicle moves on every so many columns (0.4 ms), in the images as in the poses stored with them. Poses
# that repeat along a row are what lets zlib shrink the pose image from 4.1 MB.
COLUMNS_PER_POSE = 10
TOP_SHAPE = (64, 2650)  # beams, columns
SIDE_SHAPE = (200, 600)


@dataclass(frozen=True)
class Lidar:
    """One LiDAR with a range image of H beams x W columns; row 0 is the highest beam."""

    calibration: LidarCalibration
    inclination_rad: np.ndarray  # (H,) float64, descending
    azimuth_rad: np.ndarray  # (W,) float64 in the LiDAR's frame, descending
    fires: np.ndarray  # (H, W) bool: pixels that ever measure anything
    delay_s: np.ndarray  # (W,) float64: when a column fires, after the frame's instant
    min_range_m: float
    max_range_m: float

    @property
    def shape(self) -> tuple[int, int]:
        """Beams, columns."""
        return len(self.inclination_rad), len(self.azimuth_rad)

    @cached_property
    def pixels(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns (P,) of the pixels that fire, in row-major order."""
        row, column = np.nonzero(self.fires)
        return row, column

    @property
    def rolls(self) -> bool:
        """Whether columns fire one after the other, so that each has a pose of its own."""
        return bool(self.delay_s.any())


def build_waymo_lidars(
    rig: int, *, top_shape: tuple[int, int] = TOP_SHAPE, side_shape: tuple[int, int] = SIDE_SHAPE
) -> tuple[Lidar, ...]:
    """The five LiDARs of one of Waymo's vehicles, by ascending name.

    Args:
        rig: Which vehicle; numbers beyond the last begin again at the first.
        top_shape: Beams and columns of the TOP LiDAR; smaller shapes are for tests.
        side_shape: Beams and columns of each side LiDAR.

    Returns:
        TOP, FRONT, SIDE_LEFT, SIDE_RIGHT, REAR.
    """
    chosen = RIGS[rig % len(RIGS)]
    sides = (
        _build_side(lidar, mount, side_shape) for lidar, mount in sorted(chosen.mounts.items()) if lidar != TOP_LIDAR
    )
    return (_build_top(chosen, top_shape), *sides)


def _build_top(rig: Rig, shape: tuple[int, int]) -> Lidar:
    height, width = shape
    given = np.array(rig.top_inclination_rad)
    ascending = np.interp(np.linspace(0, len(given) - 1, height), np.arange(len(given)), given)
    low, high = rig.top_inclination_edges_rad
    mount = _build_pose(rig.mounts[TOP_LIDAR])
    return Lidar(
        calibration=LidarCalibration(TOP_LIDAR, mount, ascending, low, high),
        inclination_rad=ascending[::-1].copy(),
        azimuth_rad=_compute_azimuths(width, mount),
        fires=np.ones(shape, bool),
        delay_s=((np.arange(width) // COLUMNS_PER_POSE + 0.5) * COLUMNS_PER_POSE / width - 0.5) * SWEEP_S,
        min_range_m=2.6,  # nearer ones are the car itself: the smallest range in real frames
        max_range_m=75.0,
    )


def _build_side(lidar: int, mount: Mount, shape: tuple[int, int]) -> Lidar:
    height, width = shape
    low, high = SIDE_INCLINATION_EDGES_RAD
    uniform = (np.arange(height) + 0.5) / height * (high - low) + low  # ascending, Waymo's rule
    vehicle_from_lidar = _build_pose(mount)
    azimuth, inclination = _compute_azimuths(width, vehicle_from_lidar), uniform[::-1].copy()
    return Lidar(
        calibration=LidarCalibration(lidar, vehicle_from_lidar, np.zeros(0), low, high),
        inclination_rad=inclination,
        azimuth_rad=azimuth,
        fires=_mark_side_lattice(inclination, azimuth),
        delay_s=np.zeros(width),
        min_range_m=0.4,
        max_range_m=20.0,
    )


def _mark_side_lattice(inclination: np.ndarray, azimuth: np.ndarray) -> np.ndarray:
    """(H, W) bool. In real frames a side LiDAR fills about 4,000 of its 120,000 pixels.

    They lie on a lattice of about 0.03 x 0.04 rad whose rows bend, over the half space in front of
    it and from straight down to 0.28 rad above the horizon.
    """
    ahead = np.abs((azimuth + np.pi) % (2 * np.pi) - np.pi) < 1.62
    column = (np.arange(len(azimuth)) % 4 == 0) & ahead
    bend = np.round(6 * np.cos(azimuth)).astype(np.int64)
    row = (np.arange(len(inclination))[:, None] + bend[None, :]) % 3 == 0
    return row & column[None, :] & ((inclination > -1.4) & (inclination < 0.28))[:, None]


def _compute_azimuths(width: int, vehicle_from_lidar: np.ndarray) -> np.ndarray:
    """(W,) azimuth of each column in the LiDAR's frame: column 0 looks back along the vehicle."""
    yaw = np.arctan2(vehicle_from_lidar[1, 0], vehicle_from_lidar[0, 0])
    return ((width - np.arange(width) - 0.5) / width * 2 - 1) * np.pi - yaw


def _build_pose(mount: Mount) -> np.ndarray:
    rotation = rotation_matrices(np.array(mount.roll), np.array(mount.pitch), np.array(mount.yaw))
    return pose_matrix(rotation, np.array([mount.x, mount.y, mount.z]))
