"""Joins frames into a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from pcdet_poly.config.sections.rsn import RangeImageConfig
from pcdet_poly.data.load.range_images import make_range_images
from pcdet_poly.data.load.sweeps import AGE
from pcdet_poly.errors import UserError
from pcdet_poly.structures import Batch, Frame, GroundTruth


def collate(frames: Sequence[Frame], classes: Sequence[str], image: RangeImageConfig | None = None) -> Batch:
    """Join frames into a batch: points as `prepare_points` makes them, ground truth as tensors, track ids as numpy.

    Args:
        frames: B frames; if `image` is given, with the columns of `add_pixel_columns`.
        classes: the model's classes; labels become positions in it, objects of other classes are dropped.
        image: size of the range images to make; None makes none.

    Raises:
        UserError: if a frame has labels and knows none of the classes.
    """
    num_points = [len(frame.points) for frame in frames]
    return Batch(
        points=torch.from_numpy(np.concatenate([prepare_points(frame) for frame in frames])),
        frame_of_point=torch.from_numpy(np.repeat(np.arange(len(frames)), num_points)),
        ground_truth=tuple(relabel_objects(frame, classes).to("cpu") for frame in frames),
        frame_ids=tuple(frame.frame_id for frame in frames),
        no_label_zones=tuple(move_zones_to_vehicle(frame) for frame in frames),
        vehicle_from_world=torch.from_numpy(np.stack([vehicle_from_world_rotation(frame) for frame in frames])),
        range_images=None if image is None else make_range_images(frames, image),
    )


def vehicle_from_world_rotation(frame: Frame) -> np.ndarray:
    """(3, 3) float32 that turns directions and speeds from the world into the vehicle frame."""
    return np.linalg.inv(frame.world_from_vehicle[:3, :3]).astype(np.float32)


def move_zones_to_vehicle(frame: Frame) -> tuple[np.ndarray, ...]:
    """Move the no-label zones, polygons (K, 2) of x and y, from the world into the vehicle frame.

    Zones have no height; the vehicle's own is assumed.
    """
    vehicle_from_world = np.linalg.inv(frame.world_from_vehicle)
    height = frame.world_from_vehicle[2, 3]
    return tuple(
        zone @ vehicle_from_world[:2, :2].T + height * vehicle_from_world[:2, 2] + vehicle_from_world[:2, 3]
        for zone in frame.no_label_zones
    )


def prepare_points(frame: Frame) -> np.ndarray:
    """Prepare the points that a network reads.

    Returns:
        (P, C) float32: x, y, z in metres, tanh of the raw intensity (which reaches 1e5), then, where the frame has
        them, raw elongation and age in seconds.
    """
    names = ("x", "y", "z", "intensity", *(name for name in ("elongation", AGE) if name in frame.columns))
    points = frame.points.take([frame.columns.index(name) for name in names], axis=1)
    np.tanh(points[:, 3], out=points[:, 3])
    return points


def relabel_objects(frame: Frame, classes: Sequence[str]) -> GroundTruth:
    """Keep the objects of `classes`, joined by name, with labels that are positions in `classes`.

    Stores may know different classes: a frame has no object of a class that its store does not know. Raises UserError
    where it has labels and knows none of them.
    """
    if len(frame.ground_truth) and not set(classes) & set(frame.class_names):
        raise UserError(
            f"data.classes: {', '.join(classes)}: no class of frame {frame.frame_id}, which has "
            f"{', '.join(frame.class_names)}"
        )
    position = np.full(len(frame.class_names), -1, np.int64)
    for i, name in enumerate(classes):
        if name in frame.class_names:
            position[frame.class_names.index(name)] = i
    label = position[frame.ground_truth.label]
    return replace(frame.ground_truth, label=label)[label >= 0]
