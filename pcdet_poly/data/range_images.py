"""Frames -> RangeImages: the points of the roof LiDAR put back into its beams and azimuths.

A frame holds points only. Their places in the LiDAR's image are found again from its calibration: the
row is the beam whose inclination is nearest, the column follows from the azimuth, both in the LiDAR's own
frame. An augmented frame has its calibration moved along with the points, so the image is that of the
frame before augmentation, whatever the rotation, mirror image or scale: range, rows and neighbours
are those that were measured. (Only the seam between the first and last column turns.)

Of points in one pixel the nearest is shown. Motion compensation moves points of a driving car a few
pixels, so others take a free pixel beside theirs; see ops/cpu/range_image.py.

A frame without calibration gets beams from its points: each row takes as many points as any other,
because a beam that looks at the ground returns about as many points as the next. Rows of equal height
instead would put 3 in 4 points of a 64-beam PandaSet sweep on top of others; this leaves 1 in 10.
Turning or flipping such a frame turns or flips its image, which is as true; scaling scales its ranges.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from pcdet_poly.config.rsn import RangeImageConfig
from pcdet_poly.ops.cpu.range_image import NEIGHBOURS, place
from pcdet_poly.structures import Frame, LidarCalibration, RangeImages
from pcdet_poly.waymo.range_image import beam_inclination_rad

TOP = 1  # Waymo's LaserName
LARGEST = (79.5, 2.0, 2.0)  # range (metres), intensity, elongation that the network sees as 1: RSN, section 4


@dataclass(frozen=True)
class _Polar:
    """Points in the LiDAR's own frame."""

    range_m: np.ndarray  # (P,) float64
    inclination_rad: np.ndarray
    azimuth_rad: np.ndarray


def range_images(frames: Sequence[Frame], cfg: RangeImageConfig) -> RangeImages:
    """One image per frame, and the pixel of every point of all frames in order."""
    images, pixels = [], []
    for i, frame in enumerate(frames):
        image, pixel = range_image(frame, cfg)
        images.append(image)
        pixels.append(np.where(pixel >= 0, pixel + i * cfg.rows * cfg.columns, -1))
    return RangeImages(torch.from_numpy(np.stack(images)), torch.from_numpy(np.concatenate(pixels)))


def range_image(frame: Frame, cfg: RangeImageConfig) -> tuple[np.ndarray, np.ndarray]:
    """Image (3, rows, columns) float32 of one frame, and the pixel (P,) int64 of each of its points, or -1."""
    image = np.zeros((3, cfg.rows * cfg.columns), np.float32)
    pixel = np.full(len(frame.points), -1, np.int64)
    chosen = np.flatnonzero(_of_top(frame))
    if len(chosen):
        calibration = next((lidar for lidar in frame.calibrations if lidar.lidar == TOP), None)
        polar = _polar(_in_lidar_frame(frame.points[chosen, :3], calibration, cfg))
        row = _row(polar, calibration, cfg.rows)
        column = _column(polar, calibration, cfg.columns)
        nearest_first = np.argsort(polar.range_m, kind="stable")
        pixel[chosen], shown = place(nearest_first, row, column, cfg.rows, cfg.columns, NEIGHBOURS)
        visible = np.flatnonzero(shown >= 0)
        image[:, visible] = _channels(frame, chosen, polar)[:, shown[visible]]
    return image.reshape(3, cfg.rows, cfg.columns), pixel


def _of_top(frame: Frame) -> np.ndarray:
    """(P,) bool: finite points of the roof LiDAR; all of them where a frame does not say whose they are."""
    finite = np.isfinite(frame.points[:, :3]).all(axis=1)
    return finite & (frame.points[:, frame.columns.index("lidar")] == TOP) if "lidar" in frame.columns else finite


def _in_lidar_frame(xyz: np.ndarray, calibration: LidarCalibration | None, cfg: RangeImageConfig) -> np.ndarray:
    """(P, 3) float64."""
    if calibration is None:
        return xyz.astype(np.float64) - np.array(cfg.lidar_m)
    a = np.linalg.inv(calibration.vehicle_from_lidar)
    x, y, z = xyz.T.astype(np.float64)
    # Written out: a matrix product would start BLAS's threads in every worker of a loader.
    return np.stack([x * a[i, 0] + y * a[i, 1] + z * a[i, 2] + a[i, 3] for i in range(3)], axis=1)


def _polar(xyz: np.ndarray) -> _Polar:
    x, y, z = xyz.T
    flat = np.hypot(x, y)
    return _Polar(np.hypot(flat, z), np.arctan2(z, flat), np.arctan2(y, x))


def _row(polar: _Polar, calibration: LidarCalibration | None, rows: int) -> np.ndarray:
    """(P,) int64: the beam with the nearest inclination, row 0 the highest."""
    if calibration is None:
        between = np.quantile(polar.inclination_rad, np.arange(1, rows) / rows)
    else:
        ascending = inclinations_rad(calibration, rows)
        between = (ascending[1:] + ascending[:-1]) / 2
    return rows - 1 - np.searchsorted(between, polar.inclination_rad)


def inclinations_rad(calibration: LidarCalibration, rows: int) -> np.ndarray:
    """(rows,) ascending: the LiDAR's beams; where it has more or fewer, as many spread over them."""
    beams = beam_inclination_rad(calibration, rows)[::-1]
    return np.interp(np.linspace(0, len(beams) - 1, rows), np.arange(len(beams)), beams)


def _column(polar: _Polar, calibration: LidarCalibration | None, columns: int) -> np.ndarray:
    """(P,) int64: columns turn clockwise seen from above; the first one looks (nearly) backwards along the vehicle.

    The fraction of a column that most points agree on is taken off, so that they lie in the middle of theirs.
    """
    yaw = 0.0
    if calibration is not None:
        mounting = calibration.vehicle_from_lidar
        yaw = math.atan2(mounting[1, 0], mounting[0, 0])
    place = (0.5 - (polar.azimuth_rad + yaw) / (2 * math.pi)) * columns - 0.5
    agreed = np.exp(2j * math.pi * place).mean()
    fraction = math.atan2(agreed.imag, agreed.real) / (2 * math.pi)
    return np.rint(place - fraction).astype(np.int64) % columns


def _channels(frame: Frame, chosen: np.ndarray, polar: _Polar) -> np.ndarray:
    """(3, P) float32 in [0, 1]."""
    intensity, elongation = (frame.points[chosen, frame.columns.index(name)] for name in ("intensity", "elongation"))
    values = np.stack([polar.range_m, intensity, elongation])
    return np.clip(values / np.array(LARGEST)[:, None], 0, 1).astype(np.float32)
