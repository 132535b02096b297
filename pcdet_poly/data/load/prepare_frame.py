"""Prepares a stored frame for a model: LiDAR returns, columns, sweeps before it, objects to learn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pcdet_poly.config.schema import Config
from pcdet_poly.config.sections.data import GridConfig
from pcdet_poly.config.sections.rsn import RangeImageConfig, RsnConfig
from pcdet_poly.data.load.range_images import PIXEL, RANGE, add_pixel_columns
from pcdet_poly.data.load.sweeps import add_past_sweeps
from pcdet_poly.structures import Frame, GroundTruth

INPUTS = ("x", "y", "z", "intensity", "elongation", PIXEL, RANGE)  # columns that are augmented


def get_range_image_config(cfg: Config) -> RangeImageConfig | None:
    """Get the size of the range images that the model reads; None if it reads points alone."""
    return cfg.model.image if isinstance(cfg.model, RsnConfig) else None


def prepare_frame(frame: Frame, past: Sequence[Frame], cfg: Config) -> Frame:
    """Keep the returns and columns that a model reads, and append the sweeps before.

    Args:
        frame: as it is stored.
        past: the stored frames before it in its segment, the nearest first; empty for one sweep.
        cfg: of the model and its data.
    """
    frame, *past = (_prepare_sweep(one, cfg) for one in (frame, *past))
    return add_past_sweeps(frame, past) if cfg.data.has_age else frame


def _prepare_sweep(frame: Frame, cfg: Config) -> Frame:
    image = get_range_image_config(cfg)
    frame = select_returns(frame, cfg.data.returns)
    names = INPUTS if cfg.data.elongation else tuple(name for name in INPUTS if name != "elongation")
    return select_columns(add_pixel_columns(frame, image) if image else frame, names)


def select_returns(frame: Frame, returns: Sequence[int]) -> Frame:
    """Keep the points of the given LiDAR returns; keep all if the frame does not hold return numbers."""
    if "return_number" not in frame.columns:
        return frame
    wanted = np.isin(frame.points[:, frame.columns.index("return_number")], returns)
    return frame if wanted.all() else replace(frame, points=frame.points.compress(wanted, axis=0))


def select_columns(frame: Frame, names: Sequence[str]) -> Frame:
    """Keep those of the named columns of points that the frame has."""
    kept = tuple(name for name in frame.columns if name in names)
    if kept == frame.columns:
        return frame
    return replace(frame, points=frame.points.take([frame.columns.index(name) for name in kept], axis=1), columns=kept)


def find_trainable_objects(objects: GroundTruth, grid: GridConfig | None, min_points: int) -> np.ndarray:
    """Find the objects that a model is trained with.

    Args:
        objects: N labels, vehicle frame.
        grid: the box in which the centre must lie; None: it may lie anywhere.
        min_points: LiDAR points that an object must have.

    Returns:
        (N,) bool.
    """
    has_points: np.ndarray = objects.num_points >= min_points
    if grid is None:
        return has_points
    center = objects.box[:, :3]
    inside = (center >= np.array(grid.lower)) & (center < np.array(grid.upper))
    return inside.all(axis=1) & has_points
