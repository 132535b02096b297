"""The frames that a config names."""

from __future__ import annotations

import sys

from pcdet_poly.config.schema import Config
from pcdet_poly.data.load.dataset import FrameDataset
from pcdet_poly.distributed import rank
from pcdet_poly.errors import UserError


def open_training_frames(config: Config) -> FrameDataset:
    """Return the frames of `data.train`. Raises UserError where no store is given or a store is not there."""
    if not config.data.train:
        raise UserError("data.train: no store given; add data.train=[FOLDER] (a store made with data_tools/)")
    cfg = config.data
    return FrameDataset(cfg.train, every=cfg.train_every, segments_every=cfg.train_segments_every)


def open_validation_frames(config: Config) -> FrameDataset | None:
    """Return the frames of `data.val`; None, with a warning, where no store is given."""
    if not config.data.val:
        if rank() == 0:
            print("warning: data.val: no store given; training goes on without evaluation", file=sys.stderr)
        return None
    return FrameDataset(config.data.val, every=config.data.val_every)


def open_frames_to_evaluate(config: Config) -> FrameDataset:
    """Return the frames of `data.val`. Raises UserError where no store is given or a store is not there."""
    if not config.data.val:
        raise UserError("data.val: no store given; add --data FOLDER (a store made with data_tools/)")
    return FrameDataset(config.data.val, every=config.data.val_every)
