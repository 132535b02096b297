"""Whether there is anything to learn from the frames of a training, told before it begins."""

from __future__ import annotations

import numpy as np

from pcdet_poly.config.schema import Config
from pcdet_poly.data.load.collate import relabel_objects
from pcdet_poly.data.load.dataset import FrameDataset
from pcdet_poly.data.load.prepare_frame import find_trainable_objects
from pcdet_poly.errors import UserError
from pcdet_poly.structures import GroundTruth

_FRAMES = 500  # that are looked at, spread over all; one object in any of them will do


def check_something_to_learn(frames: FrameDataset, cfg: Config) -> None:
    """Raise `UserError` where no frame has an object to train with; most stores have one in the first frame."""
    seen: list[GroundTruth] = []
    for index in _spread(len(frames)):
        objects = relabel_objects(frames.read_labels(index), cfg.data.classes)
        if find_trainable_objects(objects, cfg.grid, cfg.data.min_points).any():
            return
        seen.append(objects)
    raise UserError(f"data.train: nothing to learn in {len(seen)} frames looked at: {_find_reason(seen, cfg)}")


def _spread(count: int) -> list[int]:
    """Return up to _FRAMES positions of `count`, in an order that jumps through all of them."""
    chosen = np.unique(np.linspace(0, count - 1, min(count, _FRAMES)).astype(int))
    return [int(i) for start in range(8) for i in chosen[start::8]]


def _find_reason(seen: list[GroundTruth], cfg: Config) -> str:
    objects = GroundTruth.concatenate(seen)
    if not len(objects):
        classes = ", ".join(cfg.data.classes)
        return f"they have no labels of {classes}; a testing split? name stores with labels in data.train"
    inside = find_trainable_objects(objects, cfg.grid, int(objects.num_points.min()))
    if not inside.any():
        x, y, z = (float(value) for value in np.median(objects.box[:, :3], axis=0))
        return (
            f"all {len(objects)} labelled boxes lie outside the grid, around ({x:.0f}, {y:.0f}, {z:.0f}) m; are they "
            "in metres in the vehicle frame? see pcdet-poly check, or move grid.lower and grid.upper"
        )
    most = int(objects.num_points[inside].max())
    if most <= 0:
        return (
            f"all {len(objects)} labels say that they hold no point: records without point counts? data.min_points=0 "
            "trains on all of them"
        )
    return f"no box within the grid has data.min_points = {cfg.data.min_points} points, the most is {most}; lower it"
