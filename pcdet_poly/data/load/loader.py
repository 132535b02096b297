"""Loads a dataset as batches, which other processes read and augment ahead of time.

What batch `step` of an epoch holds depends on train.seed, the epoch and the step only: not on the
number of workers, and not on where a resumed run begins. An epoch of training is every frame once in
random order. The last batch is filled up with the first frames of that order (augmented by other random
numbers), so that all batches have one size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache, partial

import numpy as np

from pcdet_poly.config.schema import Config
from pcdet_poly.data.bank.paste import Paster, open_paster, paste_objects
from pcdet_poly.data.load.augment import augment
from pcdet_poly.data.load.batch_workers import load_batches
from pcdet_poly.data.load.collate import collate
from pcdet_poly.data.load.dataset import FrameDataset
from pcdet_poly.data.load.prepare_frame import find_trainable_objects, get_range_image_config, prepare_frame
from pcdet_poly.data.load.sweeps import drop_before_gap
from pcdet_poly.structures import Batch, Frame

_PASTE_STREAM, _SWEEP_STREAM = 1, 2


def count_steps_per_epoch(cfg: Config, dataset: FrameDataset, *, world_size: int = 1) -> int:
    """Count the training steps of an epoch, each of `train.accumulate` batches in each process.

    Args:
        cfg: its section `train` gives the batch size.
        dataset: the training frames.
        world_size: number of training processes.
    """
    return -(-len(dataset) // (cfg.train.batch_size * cfg.train.accumulate * world_size))


def load_training_batches(
    cfg: Config, dataset: FrameDataset, *, epoch: int, first_step: int = 0, rank: int = 0, world_size: int = 1
) -> Iterator[Batch]:
    """Yield the batches of one epoch: augmented, with the objects that are worth learning from.

    The frames of a step are the same however they are spread over processes and over the `train.accumulate`
    batches of a step.

    Args:
        cfg: of the run.
        dataset: the training frames.
        epoch: from 0.
        first_step: step of the epoch to begin with, from 0.
        rank: number of this process; it takes every `world_size`-th batch.
        world_size: number of training processes.

    Raises:
        UserError: if a frame or the object bank cannot be read.
    """
    steps, per_step = count_steps_per_epoch(cfg, dataset, world_size=world_size), cfg.train.accumulate
    num_epochs = cfg.train.epochs if cfg.train.steps is None else -(-cfg.train.steps // steps)
    paster = None
    if cfg.paste.is_pasting(epoch, num_epochs):
        paster = open_paster(cfg.paste, cfg.data.classes, cfg.data.returns)
    make = partial(_make_training_batch, cfg=cfg, dataset=dataset, epoch=epoch, paster=paster)
    turns = range(first_step * per_step, steps * per_step)
    yield from load_batches(make, [turn * world_size + rank for turn in turns], cfg.data.workers)


def load_evaluation_batches(
    cfg: Config, dataset: FrameDataset, *, rank: int = 0, world_size: int = 1
) -> Iterator[Batch]:
    """Yield all frames once, in order, unchanged, with all objects of the config's classes.

    The last batch may be smaller than the others.

    Args:
        cfg: of the run.
        dataset: the frames to evaluate.
        rank: number of this process; it takes every `world_size`-th batch.
        world_size: number of evaluating processes.

    Raises:
        UserError: if a frame cannot be read.
    """
    num_batches = -(-len(dataset) // cfg.evaluation.batch_size)
    make = partial(_make_evaluation_batch, cfg=cfg, dataset=dataset)
    yield from load_batches(make, range(rank, num_batches, world_size), cfg.data.workers)


def make_batch(frames: Sequence[Frame], cfg: Config) -> Batch:
    """Make a batch of single sweeps for the config's model, unchanged, with all objects of its classes."""
    return collate([prepare_frame(frame, (), cfg) for frame in frames], cfg.data.classes, get_range_image_config(cfg))


def _make_training_batch(
    number: int, *, cfg: Config, dataset: FrameDataset, epoch: int, paster: Paster | None
) -> Batch:
    order = _draw_order(cfg.train.seed, epoch, len(dataset))
    size = cfg.train.batch_size
    frames = []
    for position in range(number * size, (number + 1) * size):
        seed = (cfg.train.seed, epoch, position)
        frame = _load_frame(dataset, int(order[position % len(order)]), cfg, seed)
        frames.append(_make_training_frame(frame, cfg, seed, paster))
    return collate(frames, cfg.data.classes, get_range_image_config(cfg))


@lru_cache(maxsize=1)
def _draw_order(seed: int, epoch: int, num_frames: int) -> np.ndarray:
    return np.random.default_rng((seed, epoch)).permutation(num_frames)


def _make_evaluation_batch(number: int, *, cfg: Config, dataset: FrameDataset) -> Batch:
    size = cfg.evaluation.batch_size
    positions = range(number * size, min((number + 1) * size, len(dataset)))
    frames = [_load_frame(dataset, position, cfg) for position in positions]
    return collate(frames, cfg.data.classes, get_range_image_config(cfg))


def _load_frame(dataset: FrameDataset, index: int, cfg: Config, seed: tuple[int, int, int] | None = None) -> Frame:
    """Read a frame and the sweeps before it; with `seed`, some of these are left out where the config says so."""
    frame, past = dataset[index], dataset.read_frames_before(index, cfg.data.sweeps - 1)
    if seed and cfg.augment.drop_sweeps:
        past = drop_before_gap(frame, past)
        drawn = np.random.default_rng((*seed, _SWEEP_STREAM)).random(len(past))
        past = [sweep for sweep, number in zip(past, drawn, strict=True) if number >= cfg.augment.drop_sweeps]
    return prepare_frame(frame, past, cfg)


def _make_training_frame(frame: Frame, cfg: Config, seed: tuple[int, int, int], paster: Paster | None) -> Frame:
    if paster:
        # Pasting draws from its own stream: the augmentation of a run is the same with and without it.
        frame = paste_objects(frame, np.random.default_rng((*seed, _PASTE_STREAM)), paster)
    frame = augment(frame, np.random.default_rng(seed), cfg.augment)
    place = None if cfg.targets.border == "truncate" else cfg.grid  # the targets say where centres may lie
    trainable = find_trainable_objects(frame.ground_truth, place, cfg.data.min_points)
    return replace(frame, ground_truth=frame.ground_truth[trainable])
