"""One LiDAR sweep with its labels, on the host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from pcdet_poly.structures.boxes import WAYMO_CLASSES, GroundTruth

# Columns of Frame.points. The first five are the detector's inputs; a source that knows only those gives
# only those.
POINT_COLUMNS: tuple[str, ...] = (
    "x",  # metres, vehicle frame
    "y",
    "z",
    "intensity",  # raw, 0 to about 1.4e5: apply tanh before a network sees it
    "elongation",  # raw, 0 to about 1.5
    "no_label_zone",  # 1 where the sensor marked the point as lying in a no-label zone, else 0
    "return_number",  # 1 or 2
    "lidar",  # Waymo's LaserName: 1 TOP, 2 FRONT, 3 SIDE_LEFT, 4 SIDE_RIGHT, 5 REAR
)

TOP_LIDAR = 1  # Waymo's LaserName of the roof LiDAR


@dataclass(frozen=True)
class LidarCalibration:
    """The pose of one LiDAR and the inclinations of its beams."""

    lidar: int  # Waymo's LaserName
    vehicle_from_lidar: np.ndarray  # (4, 4) float64
    beam_inclination_rad: np.ndarray  # (H,) float64 ascending; empty where beams are uniform
    beam_inclination_min_rad: float
    beam_inclination_max_rad: float


@dataclass(frozen=True)
class Frame:
    """One sweep: points and labels in the vehicle frame, at `timestamp_us`."""

    points: np.ndarray  # (P, len(columns)) float32
    ground_truth: GroundTruth
    world_from_vehicle: np.ndarray  # (4, 4) float64
    timestamp_us: int
    segment: str
    columns: tuple[str, ...] = POINT_COLUMNS
    class_names: tuple[str, ...] = WAYMO_CLASSES  # of which ground_truth.label holds positions
    calibrations: tuple[LidarCalibration, ...] = ()
    no_label_zones: tuple[np.ndarray, ...] = ()  # polygons (K, 2) float64, world frame
    context: Mapping[str, str] = field(default_factory=dict)  # time_of_day, location, weather

    def __post_init__(self) -> None:
        if self.points.ndim != 2 or self.points.shape[1] != len(self.columns) or self.points.dtype != np.float32:
            raise ValueError(
                f"Frame.points: {self.points.dtype} {self.points.shape} given, "
                f"float32 (P, {len(self.columns)}) for columns {', '.join(self.columns)} needed"
            )
        if self.world_from_vehicle.shape != (4, 4):
            raise ValueError(f"Frame.world_from_vehicle: shape {self.world_from_vehicle.shape} given, (4, 4) needed")

    @property
    def frame_id(self) -> str:
        """Segment and timestamp, unique over a dataset; Waymo's own tools name a frame alike."""
        return f"{self.segment}/{self.timestamp_us}"
