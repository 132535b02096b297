"""The frames that a config names."""

from __future__ import annotations

import sys
from collections import Counter

from pcdet_poly.config.schema import Config
from pcdet_poly.data.load.dataset import FrameDataset
from pcdet_poly.data.store.manifest import read_manifest
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
    return _open_labelled_frames(config)


def open_frames_to_evaluate(config: Config) -> FrameDataset:
    """Return the frames of `data.val`.

    Raises UserError where no store is given, a store is not there, or a frame comes twice or none has a label.
    """
    if not config.data.val:
        raise UserError("data.val: no store given; add --data FOLDER (a store made with data_tools/)")
    return _open_labelled_frames(config)


def _open_labelled_frames(config: Config) -> FrameDataset:
    """Return the frames of `data.val`; refuse frames of one id, and stores without a label of any class."""
    cfg = config.data
    frames = FrameDataset(cfg.val, every=cfg.val_every)
    twice, times = Counter(frames.frame_ids).most_common(1)[0]
    if times > 1:
        raise UserError(f"data.val: frame {twice} is in it {times} times; name each store once")
    objects = Counter[str]()
    for folder in cfg.val:
        for entry in read_manifest(folder).segments:
            objects.update(entry.num_objects)
    if unknown := [name for name in cfg.classes if name not in objects]:
        raise UserError(f"data.classes: {unknown[0]} is no class of data.val; its stores have {', '.join(objects)}")
    if not any(objects[name] for name in cfg.classes):
        raise UserError(
            f"data.val: {', '.join(cfg.val)}: no label of {', '.join(cfg.classes)}, so nothing can be measured (a "
            "testing split?); name labelled stores"
        )
    return frames
