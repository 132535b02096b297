"""Frames of stores -> bird's-eye images, for the calibration of a network in integers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from pcdet_poly.config.schema import Config
from pcdet_poly.data.load.loader import make_batch
from pcdet_poly.engine.frames import open_training_frames
from pcdet_poly.models.centerpoint_voxel import CenterPointVoxel
from pcdet_poly.models.export.dense_part import make_image
from pcdet_poly.models.pillar_detector import PillarDetector


def load_calibration_images(
    model: PillarDetector | CenterPointVoxel, config: Config, stores: Sequence[Path | str] | None, num_frames: int
) -> Iterator[np.ndarray]:
    """Yield the images (1, C, H, W) float32 of frames that are evenly spaced over stores, without augmentation.

    Args:
        model: the detector, on the CPU, in evaluation mode.
        config: its settings.
        stores: frame stores; the training frames without them.
        num_frames: how many images at most.
    """
    if stores:
        data = config.data.model_copy(update={"train": tuple(map(str, stores))})
        config = config.model_copy(update={"data": data})
    frames = open_training_frames(config)
    numbers = np.linspace(0, len(frames) - 1, min(num_frames, len(frames))).round().astype(int)
    for number in numbers:
        yield make_image(model, make_batch([frames[int(number)]], config).points).numpy()
