"""Makes range images from the points of the roof LiDAR, by sorting them back into its beams and azimuths.

A frame holds points only. Their pixels in the LiDAR's image are computed again from its calibration: the
row is the beam whose inclination is nearest, the column follows from the azimuth, both in the LiDAR's own
frame. This is done with each sweep as it was read. Two columns then keep each point's pixel and range
through all later steps, so that the image shows what was measured even after the training frame was
turned, mirrored, scaled, shuffled, or joined with the sweeps before it.

A pixel shows the nearest of its points, and all its points get the features of that pixel. Motion
compensation shifts the points of a driving car by a few pixels, so that at 8 m/s 2.9 % of them would
share a pixel. A point whose pixel is taken gets a free one beside it, which leaves 1 %.

For a frame without calibration the beams are guessed from its points: each row takes the same number of
points, because a beam that looks at the ground returns about as many points as the next. In a 64-beam
PandaSet sweep 3 % of points then share a pixel; with rows of equal height it would be 7 in 10.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from pcdet_poly.config.sections.rsn import RangeImageConfig
from pcdet_poly.data.load.augment import transform_points
from pcdet_poly.data.load.sweeps import AGE
from pcdet_poly.ops.arrays.range_image import NEIGHBOURS, assign_pixels, select_nearest_points
from pcdet_poly.structures import TOP_LIDAR, Frame, LidarCalibration, RangeImages
from pcdet_poly.waymo.range_image import beam_inclination_rad

PIXEL, RANGE = "pixel", "range"  # columns of points: row * columns + column (-1: none), and metres from the LiDAR
# Range (metres), intensity and elongation that are shown to the network as 1: RSN, section 4.2.
LARGEST = (79.5, 2.0, 2.0)


@dataclass(frozen=True)
class _PolarPoints:
    """P points in polar coordinates of the LiDAR's own frame."""

    range_m: np.ndarray  # (P,) float64
    inclination_rad: np.ndarray
    azimuth_rad: np.ndarray


def add_pixel_columns(frame: Frame, cfg: RangeImageConfig) -> Frame:
    """Append the columns `PIXEL` and `RANGE` to a frame of one sweep, as it was read."""
    found = np.full((len(frame.points), 2), -1, np.float32)  # a pixel's number is far below 2 ** 24
    top = np.flatnonzero(_mask_top_points(frame))
    if len(top):
        calibration = next((lidar for lidar in frame.calibrations if lidar.lidar == TOP_LIDAR), None)
        polar = _compute_polar(_move_to_lidar(frame.points[top, :3], calibration, cfg))
        row, column = _find_rows(polar, calibration, cfg.rows), _find_columns(polar, calibration, cfg.columns)
        nearest_first = np.argsort(polar.range_m, kind="stable")
        found[top, 0] = assign_pixels(nearest_first, row, column, cfg.rows, cfg.columns, NEIGHBOURS)
        found[top, 1] = polar.range_m
    return replace(frame, points=np.concatenate([frame.points, found], axis=1), columns=(*frame.columns, PIXEL, RANGE))


def make_range_images(frames: Sequence[Frame], cfg: RangeImageConfig) -> RangeImages:
    """Make an image of each sweep of each frame, and give the pixel of every point of all frames in order."""
    images: list[np.ndarray] = []
    pixels: list[np.ndarray] = []
    for frame in frames:
        pixel, own = _draw_sweeps(frame, cfg)
        pixels.append(np.where(pixel >= 0, pixel + len(images) * cfg.rows * cfg.columns, -1))
        images += own
    return RangeImages(torch.from_numpy(np.stack(images)), torch.from_numpy(np.concatenate(pixels)))


def _draw_sweeps(frame: Frame, cfg: RangeImageConfig) -> tuple[np.ndarray, list[np.ndarray]]:
    """Draw one image per sweep of a frame; a frame without points has one image.

    Returns:
        The pixel (P,) int64 of each point, counted over the frame's images, and the images, (3, rows, columns)
        float32 each.
    """
    pixel, range_m, intensity, elongation = (
        frame.points[:, frame.columns.index(name)] for name in (PIXEL, RANGE, "intensity", "elongation")
    )
    pixel = pixel.astype(np.int64)
    num_sweeps = 1
    if AGE in frame.columns:
        ages, sweep = np.unique(frame.points[:, frame.columns.index(AGE)], return_inverse=True)
        pixel = np.where(pixel >= 0, pixel + sweep * cfg.rows * cfg.columns, -1)
        num_sweeps = max(len(ages), 1)
    shown = select_nearest_points(pixel, range_m, num_sweeps * cfg.rows * cfg.columns)
    image = np.zeros((3, len(shown)), np.float32)
    visible = np.flatnonzero(shown >= 0)
    for channel, values, largest in zip(image, (range_m, intensity, elongation), LARGEST, strict=True):
        channel[visible] = np.clip(values[shown[visible]] / np.float32(largest), 0, 1)
    return pixel, list(image.reshape(3, num_sweeps, cfg.rows, cfg.columns).swapaxes(0, 1))


def _mask_top_points(frame: Frame) -> np.ndarray:
    """(P,) bool: whether a point is finite and of the roof LiDAR; without the column `lidar`, every point is."""
    finite: np.ndarray = np.isfinite(frame.points[:, :3]).all(axis=1)
    return finite & (frame.points[:, frame.columns.index("lidar")] == TOP_LIDAR) if "lidar" in frame.columns else finite


def _move_to_lidar(xyz: np.ndarray, calibration: LidarCalibration | None, cfg: RangeImageConfig) -> np.ndarray:
    """Move points (P, 3) from the vehicle frame into the LiDAR's; without a calibration, by `cfg.lidar_m` only."""
    if calibration is None:
        return xyz.astype(np.float64) - np.array(cfg.lidar_m)
    return transform_points(np.linalg.inv(calibration.vehicle_from_lidar), xyz.astype(np.float64))


def _compute_polar(xyz: np.ndarray) -> _PolarPoints:
    x, y, z = xyz.T
    flat = np.hypot(x, y)
    return _PolarPoints(np.hypot(flat, z), np.arctan2(z, flat), np.arctan2(y, x))


def _find_rows(polar: _PolarPoints, calibration: LidarCalibration | None, rows: int) -> np.ndarray:
    """Find the row (P,) int64 of each point: the beam with the nearest inclination, row 0 being the highest."""
    if calibration is None:
        between = np.quantile(polar.inclination_rad, np.arange(1, rows) / rows)
    else:
        ascending = resample_inclinations(calibration, rows)
        between = (ascending[1:] + ascending[:-1]) / 2
    return rows - 1 - np.searchsorted(between, polar.inclination_rad)


def resample_inclinations(calibration: LidarCalibration, rows: int) -> np.ndarray:
    """Get `rows` ascending inclinations: the LiDAR's beams, interpolated if it has more or fewer of them."""
    beams = beam_inclination_rad(calibration, rows)[::-1]
    return np.interp(np.linspace(0, len(beams) - 1, rows), np.arange(len(beams)), beams)


def _find_columns(polar: _PolarPoints, calibration: LidarCalibration | None, columns: int) -> np.ndarray:
    """Find the column (P,) int64 of each point.

    Columns turn clockwise seen from above; the first one looks (nearly) backwards along the vehicle.
    """
    yaw = 0.0
    if calibration is not None:
        mounting = calibration.vehicle_from_lidar
        yaw = math.atan2(mounting[1, 0], mounting[0, 0])
    turns = 0.5 - (polar.azimuth_rad + yaw) / (2 * math.pi)
    return np.floor(turns * columns).astype(np.int64) % columns
