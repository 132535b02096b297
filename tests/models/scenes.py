"""A detector small enough for a test, and frames to feed it."""

import numpy as np
import torch

from pcdet_poly.config.schema import Config
from pcdet_poly.structures import Batch, GroundTruth


def tiny_config(**sections: object) -> Config:
    """20 x 16 m, 0.5 m cells, slim layers, two classes; `sections` replaces whole ones."""
    return Config.model_validate(
        {
            "data": {"classes": ["VEHICLE", "PEDESTRIAN"]},
            "grid": {"lower": [-10, -8, -2], "upper": [10, 8, 4], "cell": [0.5, 0.5, 6]},
            "model": {
                "encoder_channels": [16, 16],
                "backbone": {
                    "layers": [1, 1],
                    "strides": [1, 2],
                    "channels": [16, 32],
                    "up_strides": [1, 2],
                    "up_channels": [16, 16],
                },
                "head_width": 16,
            },
            "decode": {"nms_iou": 0.2},
            **sections,
        }
    )


def batch_of(points: list[np.ndarray], ground_truth: list[GroundTruth] | None = None) -> Batch:
    """Frames of points (P, 5) as one batch."""
    frame = np.repeat(np.arange(len(points)), [len(p) for p in points])
    truth = ground_truth or [GroundTruth.empty().to("cpu") for _ in points]
    names = tuple(f"frame/{i}" for i in range(len(points)))
    return Batch(torch.from_numpy(np.concatenate(points)), torch.from_numpy(frame), tuple(truth), names)


def random_points(rng: np.random.Generator, count: int) -> np.ndarray:
    """Points in and around the tiny grid."""
    low, high = [-11, -9, -3, 0, 0], [11, 9, 5, 1, 1]
    return rng.uniform(low, high, (count, 5)).astype(np.float32)
