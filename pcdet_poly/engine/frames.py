"""The frames that a config names."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence

from pcdet_poly.config.schema import Config
from pcdet_poly.data.load.dataset import FrameDataset
from pcdet_poly.data.store.manifest import read_manifest
from pcdet_poly.distributed import rank
from pcdet_poly.errors import UserError
from pcdet_poly.names.shown_names import print_line


def open_training_frames(config: Config) -> FrameDataset:
    """Return the frames of `data.train`. Raises UserError where no store is given or a store is not there."""
    if not config.data.train:
        raise UserError("data.train: no store given; add data.train=FOLDER (a store that pcdet-poly preprocess made)")
    cfg = config.data
    _count_labels("data.train", cfg.train, cfg.classes)
    return FrameDataset(cfg.train, every=cfg.train_every, segments_every=cfg.train_segments_every)


def open_validation_frames(config: Config) -> FrameDataset | None:
    """Return the frames of `data.val`; None, with a warning, where no store is given."""
    if not config.data.val:
        if rank() == 0:
            print("warning: data.val: no store given; training goes on without evaluation", file=sys.stderr)
        return None
    return _open_labelled_frames(config)


def warn_of_shared_frames(training: FrameDataset, validation: FrameDataset | None) -> None:
    """Say on stderr how many frames the training sees twice in an epoch, and how many it is evaluated on as well."""
    if rank() != 0:
        return
    seen = Counter(training.frame_ids)
    twice = [frame_id for frame_id, times in seen.items() if times > 1]
    if twice:
        text = f"{len(twice)} frames are in it more than once, such as {twice[0]}: name each store once"
        print_line(f"warning: data.train: {text}", file=sys.stderr)
    shared = [frame_id for frame_id in validation.frame_ids if frame_id in seen] if validation is not None else []
    if validation is not None and shared:
        text = f"{len(shared)} of its {len(validation)} frames are trained on as well: its AP is not of unseen frames"
        print_line(f"warning: data.val: {text}", file=sys.stderr)


def open_frames_to_evaluate(config: Config) -> FrameDataset:
    """Return the frames of `data.val`.

    Raises UserError where no store is given, a store is not there, or a frame comes twice or none has a label.
    """
    if not config.data.val:
        raise UserError("data.val: no store given; add --data FOLDER (a store that pcdet-poly preprocess made)")
    return _open_labelled_frames(config)


def _open_labelled_frames(config: Config) -> FrameDataset:
    """Return the frames of `data.val`; refuse frames of one id, and stores without a label of any class."""
    cfg = config.data
    frames = FrameDataset(cfg.val, every=cfg.val_every)
    twice, times = Counter(frames.frame_ids).most_common(1)[0]
    if times > 1:
        raise UserError(f"data.val: frame {twice} is in it {times} times; name each store once")
    if not _count_labels("data.val", cfg.val, cfg.classes):
        raise UserError(
            f"data.val: {', '.join(cfg.val)}: no label of {', '.join(cfg.classes)}, so nothing can be measured (a "
            "testing split?); name labelled stores"
        )
    return frames


def _count_labels(key: str, folders: Sequence[str], classes: Sequence[str]) -> int:
    """Count the labels of `classes` in stores, whose classes are joined by name.

    A class that some stores do not know is named on stderr; one that no store knows is a UserError.

    Args:
        key: the setting that names the stores.
        folders: the stores.
        classes: names of the classes.
    """
    of_store = {folder: Counter[str]() for folder in folders}
    for folder, objects in of_store.items():
        for entry in read_manifest(folder).segments:
            objects.update(entry.num_objects)
    for name in classes:
        lacking = [folder for folder, objects in of_store.items() if name not in objects]
        if len(lacking) == len(of_store):
            known = dict.fromkeys(name for objects in of_store.values() for name in objects)
            raise UserError(f"data.classes: {name} is no class of {key}, whose stores have {', '.join(known)}")
        if lacking and rank() == 0:
            text = f"{name} is no class of {', '.join(lacking)}: such objects there count as background"
            print_line(f"warning: {key}: {text}", file=sys.stderr)
    return sum(objects[name] for objects in of_store.values() for name in classes)
