"""A view with one car of each kind: found, missed, and a pedestrian that is none."""

from __future__ import annotations

import numpy as np

from pcdet_poly.structures import Detections, Frame, GroundTruth
from pcdet_poly.visualization.viewer.view import View, ViewSource, build_view

CLASSES = ("VEHICLE", "PEDESTRIAN", "CYCLIST")
FOUND, MISSED, FALSE = (
    (8.0, 0.0, 0.0, 4.0, 2.0, 2.0, 0.3),
    (0.0, 9.0, 0.5, 4.0, 2.0, 2.0, 0.0),
    (-6.0, -6.0, 0, 1, 1, 2, 0),
)


def make_frame(number: int = 0, num_points: int = 3000) -> Frame:
    """Points everywhere, with all columns; the first three are the centres of the three boxes."""
    rng = np.random.default_rng(number)
    points = np.zeros((num_points, 8), np.float32)
    points[:, :2] = rng.uniform(-40, 40, (num_points, 2))
    points[:, 2] = rng.uniform(-0.5, 3, num_points)
    points[:3, :3] = [FOUND[:3], MISSED[:3], FALSE[:3]]
    points[:, 3] = rng.uniform(0, 2, num_points)
    points[:, 6] = rng.integers(1, 3, num_points)
    return Frame(points, labels(), np.eye(4), timestamp_us=100 * number, segment="seg</script>", class_names=CLASSES)


def labels() -> GroundTruth:
    return GroundTruth(
        box=np.array([FOUND, MISSED], np.float32),
        label=np.array([0, 2]),
        level=np.ones(2, np.int64),
        num_points=np.full(2, 9),
        track=np.array(["a", "b"]),
        speed=np.zeros((2, 2), np.float32),
    )


def detections() -> Detections:
    return Detections(np.array([FOUND, FALSE], np.float32), np.array([1, 1]), np.array([0.9, 0.4], np.float32))


def make_view(number: int = 0, *, detects: bool = True, num_points: int = 3000) -> View:
    found = detections() if detects else None
    return build_view(make_frame(number, num_points), labels(), found, CLASSES, min_score=0.3)


def make_views(num_frames: int = 3, *, detects: bool = True, num_points: int = 3000) -> ViewSource:
    ids = tuple(f"seg</script>/{100 * number}" for number in range(num_frames))
    return ViewSource("some <run> <!--<script>", ids, lambda i: make_view(i, detects=detects, num_points=num_points))
