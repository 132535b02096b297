"""A Waymo record without its camera data: range images and labels, before range images become points."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np

from pcdet_poly.errors import UserError
from pcdet_poly.structures import GroundTruth, LidarCalibration

# Waymo's LaserName, in ascending order.
LIDAR_NAMES: Mapping[int, str] = {1: "TOP", 2: "FRONT", 3: "SIDE_LEFT", 4: "SIDE_RIGHT", 5: "REAR"}

MAX_ROWS, MAX_COLUMNS = 1 << 12, 1 << 16  # of a range image: far more than any LiDAR has


@dataclass(frozen=True)
class LidarScan:
    """What one LiDAR measured in one sweep: up to two range images of H beams x W columns.

    The channels of a range image are range (metres; pixels without a measurement have none above 0),
    intensity, elongation, and whether the pixel lies in a no-label zone (1 or -1). Row 0 is the
    highest beam; column 0 looks backwards, and columns turn clockwise seen from above.
    """

    calibration: LidarCalibration
    returns: tuple[np.ndarray, ...]  # 0, 1 or 2 images (H, W, 4) float32: first return, second return
    # Vehicle to world at the time each pixel was measured: (H, W, 6) float32, roll pitch yaw (radians),
    # x y z (metres). Waymo gives it for TOP alone; with None the frame's own pose is used.
    pixel_pose: np.ndarray | None = None

    def __post_init__(self) -> None:
        name = get_lidar_name(self.calibration.lidar)
        if len(self.returns) > 2:
            raise UserError(f"LiDAR {name}: {len(self.returns)} range images given, at most 2 returns are known")
        for number, image in enumerate(self.returns, start=1):
            _check_image(image, 4, f"LiDAR {name}, return {number}")
            if image.shape != self.returns[0].shape:
                raise UserError(f"LiDAR {name}: returns of {self.returns[0].shape} and {image.shape} pixels")
        if not self.returns:
            return
        rows, columns = self.returns[0].shape[:2]
        beams = len(self.calibration.beam_inclination_rad)
        if beams not in (0, rows):
            raise UserError(f"LiDAR {name}: {beams} beam inclinations for a range image of {rows} rows")
        if self.pixel_pose is not None:
            _check_image(self.pixel_pose, 6, f"LiDAR {name}, pixel poses")
            if self.pixel_pose.shape[:2] != (rows, columns):
                raise UserError(f"LiDAR {name}: {self.pixel_pose.shape[:2]} pixel poses for {rows} x {columns} pixels")


@dataclass(frozen=True)
class Scan:
    """One record: the LiDARs' images, the pose and the labels at `timestamp_us`."""

    lidars: tuple[LidarScan, ...]  # ascending by calibration.lidar
    ground_truth: GroundTruth  # label: position in WAYMO_CLASSES
    world_from_vehicle: np.ndarray  # (4, 4) float64
    timestamp_us: int
    segment: str
    no_label_zones: tuple[np.ndarray, ...] = ()  # polygons (K, 2) float64, world frame
    context: Mapping[str, str] = field(default_factory=dict)  # time_of_day, location, weather

    def __post_init__(self) -> None:
        lidars = [scan.calibration.lidar for scan in self.lidars]
        if lidars != sorted(set(lidars)):
            raise UserError(f"Scan of {self.segment}: LiDARs {lidars} are not distinct and ascending")
        if self.world_from_vehicle.shape != (4, 4):
            raise UserError(f"Scan of {self.segment}: pose of shape {self.world_from_vehicle.shape}, (4, 4) needed")

    @property
    def has_images(self) -> bool:
        """Whether any LiDAR has a range image."""
        return any(lidar.returns for lidar in self.lidars)


def get_lidar_name(lidar: int) -> str:
    """Get Waymo's name of a LiDAR, or its number as text if it has no name."""
    return LIDAR_NAMES.get(lidar, str(lidar))


def check_returns(returns: Collection[int]) -> None:
    """Raise `UserError` unless `returns` holds 1, 2 or both."""
    if not returns or not set(returns) <= {1, 2}:
        raise UserError(f"returns {tuple(returns)}: choose from 1 and 2")


def _check_image(image: np.ndarray, channels: int, where: str) -> None:
    if image.ndim != 3 or image.shape[2] != channels or image.dtype != np.float32:
        raise UserError(f"{where}: image of {image.dtype} {image.shape}, float32 (H, W, {channels}) needed")
    rows, columns = image.shape[:2]
    if rows > MAX_ROWS or columns > MAX_COLUMNS:  # rays are computed per row and per column, with pixels or without
        raise UserError(f"{where}: image of {rows} x {columns} pixels, at most {MAX_ROWS} x {MAX_COLUMNS} can be read")
