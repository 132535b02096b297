"""Frames -> RangeImages: the points of the roof LiDAR put back into its beams and azimuths.

A frame holds points only. Their places in the LiDAR's image are found again from its calibration: the
row is the beam whose inclination is nearest, the column follows from the azimuth, both in the LiDAR's own
frame. That is done with each sweep as it was read; two columns then carry a point's pixel and range
through everything that happens to points afterwards. So the image shows what was measured, however a
training frame is turned, mirrored, scaled, shuffled, or joined with the sweeps before it.

Of points in one pixel the nearest is shown, and all have its features. Motion compensation moves points
of a driving car by a few pixels: at 8 m/s 2.9 % of them would hide behind others. They are given a free
pixel beside theirs, which leaves 1 %.

A frame without calibration gets beams from its points: each row takes as many points as any other,
because a beam that looks at the ground returns about as many points as the next. In a 64-beam PandaSet
sweep 3 % of points then share a pixel; with rows of equal height it would be 7 in 10.
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
from pcdet_poly.structures import Frame, LidarCalibration, RangeImages
from pcdet_poly.waymo.range_image import beam_inclination_rad

PIXEL, RANGE = "pixel", "range"  # columns: row * columns + column (-1: none), and metres from the LiDAR
TOP = 1  # Waymo's LaserName
LARGEST = (79.5, 2.0, 2.0)  # range (metres), intensity, elongation that the network sees as 1: RSN, section 4.1


@dataclass(frozen=True)
class _PolarPoints:
    """Points in the LiDAR's own frame."""

    range_m: np.ndarray  # (P,) float64
    inclination_rad: np.ndarray
    azimuth_rad: np.ndarray


def add_pixel_columns(frame: Frame, cfg: RangeImageConfig) -> Frame:
    """`frame`, one sweep as it was read, with the columns `PIXEL` and `RANGE`."""
    found = np.full((len(frame.points), 2), -1, np.float32)  # a pixel's number is far below 2 ** 24
    top = np.flatnonzero(_mask_top_points(frame))
    if len(top):
        calibration = next((lidar for lidar in frame.calibrations if lidar.lidar == TOP), None)
        polar = _compute_polar(_move_to_lidar(frame.points[top, :3], calibration, cfg))
        row, column = _find_rows(polar, calibration, cfg.rows), _find_columns(polar, calibration, cfg.columns)
        nearest_first = np.argsort(polar.range_m, kind="stable")
        found[top, 0] = assign_pixels(nearest_first, row, column, cfg.rows, cfg.columns, NEIGHBOURS)
        found[top, 1] = polar.range_m
    return replace(frame, points=np.concatenate([frame.points, found], axis=1), columns=(*frame.columns, PIXEL, RANGE))


def make_range_images(frames: Sequence[Frame], cfg: RangeImageConfig) -> RangeImages:
    """An image of each sweep of each frame, and the pixel of every point of all frames in order."""
    images: list[np.ndarray] = []
    pixels: list[np.ndarray] = []
    for frame in frames:
        pixel, own = _draw_sweeps(frame, cfg)
        pixels.append(np.where(pixel >= 0, pixel + len(images) * cfg.rows * cfg.columns, -1))
        images += own
    return RangeImages(torch.from_numpy(np.stack(images)), torch.from_numpy(np.concatenate(pixels)))


def _draw_sweeps(frame: Frame, cfg: RangeImageConfig) -> tuple[np.ndarray, list[np.ndarray]]:
    """Pixel (P,) int64 of each point in the frame's images, and these, (3, rows, columns) float32; at least one."""
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
    """(P,) bool: finite points of the roof LiDAR; all of them where a frame does not say whose they are."""
    finite: np.ndarray = np.isfinite(frame.points[:, :3]).all(axis=1)
    return finite & (frame.points[:, frame.columns.index("lidar")] == TOP) if "lidar" in frame.columns else finite


def _move_to_lidar(xyz: np.ndarray, calibration: LidarCalibration | None, cfg: RangeImageConfig) -> np.ndarray:
    """(P, 3) float64."""
    if calibration is None:
        return xyz.astype(np.float64) - np.array(cfg.lidar_m)
    return transform_points(np.linalg.inv(calibration.vehicle_from_lidar), xyz.astype(np.float64))


def _compute_polar(xyz: np.ndarray) -> _PolarPoints:
    x, y, z = xyz.T
    flat = np.hypot(x, y)
    return _PolarPoints(np.hypot(flat, z), np.arctan2(z, flat), np.arctan2(y, x))


def _find_rows(polar: _PolarPoints, calibration: LidarCalibration | None, rows: int) -> np.ndarray:
    """(P,) int64: the beam with the nearest inclination, row 0 the highest."""
    if calibration is None:
        between = np.quantile(polar.inclination_rad, np.arange(1, rows) / rows)
    else:
        ascending = resample_inclinations(calibration, rows)
        between = (ascending[1:] + ascending[:-1]) / 2
    return rows - 1 - np.searchsorted(between, polar.inclination_rad)


def resample_inclinations(calibration: LidarCalibration, rows: int) -> np.ndarray:
    """(rows,) ascending: the LiDAR's beams; where it has more or fewer, as many spread over them."""
    beams = beam_inclination_rad(calibration, rows)[::-1]
    return np.interp(np.linspace(0, len(beams) - 1, rows), np.arange(len(beams)), beams)


def _find_columns(polar: _PolarPoints, calibration: LidarCalibration | None, columns: int) -> np.ndarray:
    """(P,) int64: columns turn clockwise seen from above; the first one looks (nearly) backwards along the vehicle."""
    yaw = 0.0
    if calibration is not None:
        mounting = calibration.vehicle_from_lidar
        yaw = math.atan2(mounting[1, 0], mounting[0, 0])
    turns = 0.5 - (polar.azimuth_rad + yaw) / (2 * math.pi)
    return np.floor(turns * columns).astype(np.int64) % columns
