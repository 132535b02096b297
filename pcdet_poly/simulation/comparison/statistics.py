"""What a LiDAR frame looks like in numbers, simulated or real."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pcdet_poly.errors import UserError
from pcdet_poly.simulation.lidar.calibration import RIGS
from pcdet_poly.simulation.segment import simulate_segment
from pcdet_poly.structures import TOP_LIDAR
from pcdet_poly.waymo import convert_range_images

RANGE_EDGES_M = np.arange(0.0, 80.0, 2.5)
UNIT_EDGES = np.linspace(0.0, 1.0, 51)
_TOP_AT = np.array([1.43, 0.0, 2.184])  # where both rigs carry their TOP LiDAR
_JUMP_RAD = 0.05  # a step back up by this much along the points: the next image begins


@dataclass(frozen=True)
class FrameStatistics:
    """Counts and histograms of one frame; points are those of all LiDARs and both returns."""

    num_points: int
    num_top_first: int
    num_top_second: int
    range_hist: np.ndarray  # points per RANGE_EDGES_M bin of horizontal distance
    intensity_hist: np.ndarray  # share of points per UNIT_EDGES bin of tanh(intensity)
    elongation_hist: np.ndarray  # share of points per UNIT_EDGES bin
    beam_points: np.ndarray  # (64,) first returns of TOP per beam, lowest first


def measure_real_frame(path: str | Path) -> FrameStatistics:
    """Of a real frame: float32 (P, 5) x, y, z, tanh(intensity), elongation, in Waymo's order.

    The order is TOP first return, TOP second return, side LiDARs; each image from its highest row.
    """
    path = Path(path)
    if not path.is_file() or path.stat().st_size == 0 or path.stat().st_size % 20:
        raise UserError(f"{path}: not a file of float32 rows of 5; name a .bin of x y z tanh(intensity) elongation")
    points = np.fromfile(path, np.float32).reshape(-1, 5)
    inclination = _compute_top_inclination(points)
    jumps = np.flatnonzero(np.diff(inclination) > _JUMP_RAD) + 1
    first = int(jumps[0]) if len(jumps) else len(points)
    # The second return's image ends where its beams no longer step down evenly.
    uneven = np.flatnonzero(np.abs(np.diff(inclination[first:])) > _JUMP_RAD)
    second = int(uneven[0]) + 1 if len(uneven) else 0
    beams = np.array(RIGS[1].top_inclination_rad)  # the frame's own are not stored with it
    between = np.concatenate([[-1.0], (beams[1:] + beams[:-1]) / 2, [1.0]])
    return _count_points(points, first, second, np.histogram(inclination[:first], between)[0])


def measure_simulated_frame(seed: int) -> tuple[FrameStatistics, np.ndarray]:
    """Of the first frame of a simulated segment, and its (N, 3) labels: class, distance, points."""
    scan = next(simulate_segment(seed, num_frames=1))
    cloud = convert_range_images(scan, (1, 2))
    number, lidar = cloud[:, 6], cloud[:, 7]
    beam_points = (scan.lidars[0].returns[0][::-1, :, 0] > 0).sum(axis=1)
    points = np.column_stack([cloud[:, :3], np.tanh(cloud[:, 3]), cloud[:, 4]])
    second = int(((lidar == TOP_LIDAR) & (number == 2)).sum())
    truth = scan.ground_truth
    objects = np.column_stack([truth.label, np.hypot(truth.box[:, 0], truth.box[:, 1]), truth.num_points])
    return _count_points(points, int(beam_points.sum()), second, beam_points), objects


def average_field(frames: Sequence[FrameStatistics], field: str) -> np.ndarray:
    """Mean over frames of one field."""
    return np.mean([getattr(frame, field) for frame in frames], axis=0)


def _count_points(points: np.ndarray, first: int, second: int, beam_points: np.ndarray) -> FrameStatistics:
    share = 1.0 / max(len(points), 1)
    return FrameStatistics(
        num_points=len(points),
        num_top_first=first,
        num_top_second=second,
        range_hist=np.histogram(np.hypot(points[:, 0], points[:, 1]), RANGE_EDGES_M)[0],
        intensity_hist=np.histogram(points[:, 3], UNIT_EDGES)[0] * share,
        elongation_hist=np.histogram(points[:, 4], UNIT_EDGES)[0] * share,
        beam_points=beam_points,
    )


def _compute_top_inclination(points: np.ndarray) -> np.ndarray:
    away = points[:, :3] - _TOP_AT
    return np.arctan2(away[:, 2], np.hypot(away[:, 0], away[:, 1]))
