"""Clouds, boxes and batches that the checks of a GPU are made with: drawn from a seed, of any size."""

from __future__ import annotations

import numpy as np

from pcdet_poly.config.schema import Config
from pcdet_poly.data.load.loader import make_batch
from pcdet_poly.structures import Batch, Frame, GroundTruth

_BEAMS = 64
_COLUMNS = ("x", "y", "z", "intensity", "elongation", "return_number", "lidar")


def draw_cloud(num_points: int, reach_m: float, seed: int = 0) -> np.ndarray:
    """Draw a cloud as a LiDAR with 64 beams gives it: ground, walls and vegetation.

    Args:
        num_points: P.
        reach_m: of the farthest walls, metres.
        seed: of the random numbers.

    Returns:
        (P, 5) float32 x, y, z, raw intensity, elongation.
    """
    rng = np.random.default_rng(seed)
    num_columns = -(-num_points // _BEAMS)
    azimuth = np.linspace(np.pi, -np.pi, num_columns, endpoint=False)
    inclination = np.deg2rad(np.linspace(2.4, -17.6, _BEAMS))[:, None]
    wall_m = np.repeat(rng.gamma(2.0, reach_m / 5, -(-num_columns // 12)) + 2.0, 12)[:num_columns]
    ground_m = 1.9 / np.tan(np.maximum(-inclination, 0.01))
    range_m = np.minimum(ground_m, wall_m + rng.normal(0, 0.15, (_BEAMS, num_columns)))
    x, y, z = range_m * np.cos(azimuth), range_m * np.sin(azimuth), 1.9 + range_m * np.tan(inclination)
    rest = rng.random((2, *x.shape))
    return np.stack([x, y, z, *rest], axis=-1).reshape(-1, 5)[:num_points].astype(np.float32)


def draw_boxes(num_boxes: int, reach_m: float, seed: int = 0) -> np.ndarray:
    """Draw boxes as a detector proposes them: 20 near each object.

    Args:
        num_boxes: N.
        reach_m: of their centres along x and y, metres.
        seed: of the random numbers.

    Returns:
        (N, 7) float32.
    """
    rng = np.random.default_rng(seed)
    sizes = np.array([[4.7, 2.1, 1.7], [0.9, 0.86, 1.73], [1.78, 0.84, 1.78]])
    num_objects = -(-num_boxes // 20)
    objects = np.empty((num_objects, 7))
    objects[:, :3] = rng.uniform(-reach_m, reach_m, (num_objects, 3)) * (1, 1, 0) + (0, 0, 0.9)
    objects[:, 3:6] = sizes[rng.integers(0, 3, num_objects)]
    objects[:, 6] = rng.uniform(-np.pi, np.pi, num_objects)
    spread = rng.normal(0, 1, (num_objects, 20, 7)) * (0.2, 0.2, 0.05, 0.1, 0.1, 0.05, 0.1)
    boxes = (objects[:, None] + spread).reshape(-1, 7)[:num_boxes]
    boxes[:, 3:6] = np.maximum(boxes[:, 3:6], 0.2)
    return boxes.astype(np.float32)


def draw_batch(cfg: Config, num_points: int, num_frames: int, seed: int = 0) -> Batch:
    """Draw frames with objects of all classes, as a training reads them.

    Args:
        cfg: of the detector.
        num_points: of a frame.
        num_frames: B.
        seed: of the random numbers.
    """
    return make_batch([_draw_frame(cfg, num_points, seed + i) for i in range(num_frames)], cfg)


def _draw_frame(cfg: Config, num_points: int, seed: int) -> Frame:
    reach_m = 0.9 * min(*(-low for low in cfg.grid.lower[:2]), *cfg.grid.upper[:2])
    cloud = draw_cloud(num_points, reach_m, seed)
    returned = np.ones((len(cloud), 2), np.float32)  # first returns of the roof LiDAR
    count = 40
    box = draw_boxes(20 * count, reach_m, seed)[::20]
    labels = GroundTruth(
        box=box,
        label=np.arange(count) % len(cfg.data.classes),
        level=np.ones(count, np.int64),
        num_points=np.full(count, 50),
        track=np.array([f"object{i}" for i in range(count)]),
        speed=np.zeros((count, 2), np.float32),
    )
    points = np.concatenate([cloud, returned], axis=1)
    return Frame(
        points, labels, np.eye(4), 100_000 * seed, f"drawn{seed}", columns=_COLUMNS, class_names=cfg.data.classes
    )
