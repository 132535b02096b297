"""A tiny detector and tiny frames, so that a run takes a second."""

from __future__ import annotations

from typing import Any

import numpy as np

from pcdet_poly.structures import Frame, GroundTruth

TINY: dict[str, dict[str, Any]] = {
    "data": {"workers": 0},
    "grid": {"lower": [-12.8, -12.8, -3], "upper": [12.8, 12.8, 5], "cell": [0.8, 0.8, 8]},
    "model": {
        "encoder_channels": [4, 4],
        "backbone": {
            "layers": [1, 1],
            "strides": [1, 2],
            "channels": [4, 4],
            "up_strides": [1, 2],
            "up_channels": [4, 4],
        },
        "head_width": 4,
    },
    "decode": {"score": 0.0, "top_k": 8},
    "train": {"epochs": 3, "batch_size": 2, "log_every": 2, "evaluate_every": 2, "threads": 1},
    "evaluation": {"pictures": 0},
}


def frame(number: int) -> Frame:
    """A plane of ground points with three cars, a walker and a cyclist, all with points on them."""
    rng = np.random.default_rng(number)
    size = np.array([[4.5, 2, 1.6]] * 3 + [[0.8, 0.8, 1.7], [1.8, 0.8, 1.7]])
    center = np.column_stack([rng.uniform(-10, 10, (5, 2)), np.full(5, 0.9)])
    box = np.column_stack([center, size, rng.uniform(-3, 3, 5)]).astype(np.float32)
    ground = np.column_stack([rng.uniform(-12, 12, (300, 2)), rng.normal(0, 0.02, 300)])
    on_objects = np.repeat(center, 30, axis=0) + rng.uniform(-0.4, 0.4, (150, 3))
    points = np.zeros((450, 8), np.float32)
    points[:, :3] = np.concatenate([ground, on_objects])
    points[:, 3] = rng.uniform(0, 1, 450)
    points[:, 6:] = 1  # first return, TOP
    labels = GroundTruth(
        box=box,
        label=np.array([0, 0, 0, 1, 3]),
        level=np.ones(5, np.int64),
        num_points=np.full(5, 30),
        track=np.array([f"object{i}" for i in range(5)]),
        speed=np.zeros((5, 2), np.float32),
    )
    return Frame(points, labels, np.eye(4), timestamp_us=100_000 * number, segment="tiny")
