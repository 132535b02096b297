"""A dataset -> batches, read and augmented ahead by other processes.

What batch `step` of an epoch holds depends on train.seed, the epoch and the step only: not on the
number of workers, and not on where a resumed run begins. An epoch of training is every frame once in
random order; the last batch is filled up with the first frames of that order (changed by other
random numbers), so that all batches have one size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from pcdet_poly.config.schema import Config
from pcdet_poly.config.sections.data import GridConfig
from pcdet_poly.config.sections.rsn import RangeImageConfig, RsnConfig
from pcdet_poly.data.bank.paste import Paster, open_paster, paste_objects
from pcdet_poly.data.load.augment import augment
from pcdet_poly.data.load.collate import collate
from pcdet_poly.data.load.dataset import FrameDataset
from pcdet_poly.data.load.range_images import PIXEL, RANGE, add_pixel_columns
from pcdet_poly.data.load.sweeps import add_past_sweeps
from pcdet_poly.errors import UserError
from pcdet_poly.malloc import keep_freed_memory
from pcdet_poly.ops.warm_up import warm_up
from pcdet_poly.signals import hold_stop_signals
from pcdet_poly.structures import Batch, Frame, GroundTruth

INPUTS = ("x", "y", "z", "intensity", "elongation", PIXEL, RANGE)  # columns that are augmented
_PASTE_STREAM = 1


def count_steps_per_epoch(cfg: Config, dataset: FrameDataset, *, world_size: int = 1) -> int:
    """Training steps per epoch, of `train.accumulate` batches in each process."""
    return -(-len(dataset) // (cfg.train.batch_size * cfg.train.accumulate * world_size))


def load_training_batches(
    cfg: Config, dataset: FrameDataset, *, epoch: int, first_step: int = 0, rank: int = 0, world_size: int = 1
) -> Iterator[Batch]:
    """The batches of one epoch from `first_step` on: augmented, with the objects worth learning from.

    With several processes, each takes every `world_size`-th batch. The frames of a step are the same
    however they are spread over processes and over the `train.accumulate` batches of a step.
    """
    steps, per_step = count_steps_per_epoch(cfg, dataset, world_size=world_size), cfg.train.accumulate
    num_epochs = cfg.train.epochs if cfg.train.steps is None else -(-cfg.train.steps // steps)
    paster = None
    if cfg.paste.is_pasting(epoch, num_epochs):
        paster = open_paster(cfg.paste, cfg.data.classes, cfg.data.returns)
    make = partial(_make_training_batch, cfg=cfg, dataset=dataset, epoch=epoch, paster=paster)
    turns = range(first_step * per_step, steps * per_step)
    yield from _load_batches(make, [turn * world_size + rank for turn in turns], cfg.data.workers)


def load_evaluation_batches(
    cfg: Config, dataset: FrameDataset, *, rank: int = 0, world_size: int = 1
) -> Iterator[Batch]:
    """All frames once, in order, unchanged, with all objects of the config's classes; the last batch may be short.

    With several processes, each takes every `world_size`-th batch.
    """
    num_batches = -(-len(dataset) // cfg.evaluation.batch_size)
    make = partial(_make_evaluation_batch, cfg=cfg, dataset=dataset)
    yield from _load_batches(make, range(rank, num_batches, world_size), cfg.data.workers)


def _make_training_batch(
    number: int, *, cfg: Config, dataset: FrameDataset, epoch: int, paster: Paster | None
) -> Batch:
    order = _draw_order(cfg.train.seed, epoch, len(dataset))
    size = cfg.train.batch_size
    frames = []
    for position in range(number * size, (number + 1) * size):
        frame = _load_frame(dataset, int(order[position % len(order)]), cfg)
        frames.append(_make_training_frame(frame, cfg, (cfg.train.seed, epoch, position), paster))
    return collate(frames, cfg.data.classes, get_range_image_config(cfg))


@lru_cache(maxsize=1)
def _draw_order(seed: int, epoch: int, num_frames: int) -> np.ndarray:
    return np.random.default_rng((seed, epoch)).permutation(num_frames)


def _make_evaluation_batch(number: int, *, cfg: Config, dataset: FrameDataset) -> Batch:
    size = cfg.evaluation.batch_size
    positions = range(number * size, min((number + 1) * size, len(dataset)))
    frames = [_load_frame(dataset, position, cfg) for position in positions]
    return collate(frames, cfg.data.classes, get_range_image_config(cfg))


def make_batch(frames: Sequence[Frame], cfg: Config) -> Batch:
    """Frames as they are, with all objects of the config's classes, as its model takes them; no sweeps before them."""
    return collate([prepare_frame(frame, (), cfg) for frame in frames], cfg.data.classes, get_range_image_config(cfg))


def get_range_image_config(cfg: Config) -> RangeImageConfig | None:
    """Size of the range images that the model looks at; None where it looks at points alone."""
    return cfg.model.image if isinstance(cfg.model, RsnConfig) else None


def _load_frame(dataset: FrameDataset, index: int, cfg: Config) -> Frame:
    return prepare_frame(dataset[index], dataset.read_frames_before(index, cfg.data.sweeps - 1), cfg)


def prepare_frame(frame: Frame, past: Sequence[Frame], cfg: Config) -> Frame:
    """`frame` with the returns, columns and sweeps that a model sees; `past` are the frames before it."""
    frame, *past = (_prepare_sweep(one, cfg) for one in (frame, *past))
    return frame if cfg.data.sweeps == 1 else add_past_sweeps(frame, past)


def _prepare_sweep(frame: Frame, cfg: Config) -> Frame:
    image = get_range_image_config(cfg)
    frame = select_returns(frame, cfg.data.returns)
    return select_columns(add_pixel_columns(frame, image) if image else frame, INPUTS)


def _make_training_frame(frame: Frame, cfg: Config, seed: tuple[int, int, int], paster: Paster | None) -> Frame:
    if paster:
        # A stream of its own: the augmentation of a run is the same with and without pasting.
        frame = paste_objects(frame, np.random.default_rng((*seed, _PASTE_STREAM)), paster)
    frame = augment(frame, np.random.default_rng(seed), cfg.augment)
    worth = find_trainable_objects(frame.ground_truth, cfg.grid, cfg.data.min_points)
    return replace(frame, ground_truth=frame.ground_truth[worth])


def select_returns(frame: Frame, returns: Sequence[int]) -> Frame:
    """`frame` with the points of the given LiDAR returns; all points where it does not say."""
    if "return_number" not in frame.columns:
        return frame
    wanted = np.isin(frame.points[:, frame.columns.index("return_number")], returns)
    return frame if wanted.all() else replace(frame, points=frame.points.compress(wanted, axis=0))


def select_columns(frame: Frame, names: Sequence[str]) -> Frame:
    """`frame` with those of the columns that it has."""
    kept = tuple(name for name in frame.columns if name in names)
    if kept == frame.columns:
        return frame
    return replace(frame, points=frame.points.take([frame.columns.index(name) for name in kept], axis=1), columns=kept)


def find_trainable_objects(objects: GroundTruth, grid: GridConfig, min_points: int) -> np.ndarray:
    """(N,) bool: enough LiDAR points, and the centre in the grid."""
    center = objects.box[:, :3]
    inside = (center >= np.array(grid.lower)) & (center < np.array(grid.upper))
    return inside.all(axis=1) & (objects.num_points >= min_points)


@dataclass(frozen=True)
class _BatchOrError:
    """A batch or why there is none, on its way from a worker: torch would bury the reason in a traceback."""

    result: Batch | UserError

    def pin_memory(self) -> _BatchOrError:
        """For DataLoader, in its own thread."""
        batch = self.result
        if isinstance(batch, UserError):
            return self
        pinned = replace(batch, points=batch.points.pin_memory(), frame_of_point=batch.frame_of_point.pin_memory())
        return _BatchOrError(replace(pinned, range_images=batch.range_images and batch.range_images.pin_memory()))


class _BatchDataset(Dataset[_BatchOrError]):
    """Batch numbers -> batches, for DataLoader."""

    def __init__(self, make: Callable[[int], Batch]) -> None:
        self._make = make

    def __getitem__(self, number: int) -> _BatchOrError:
        try:
            return _BatchOrError(self._make(number))
        except UserError as error:
            return _BatchOrError(UserError(str(error)))


def _load_batches(make: Callable[[int], Batch], numbers: Sequence[int], workers: int) -> Iterator[Batch]:
    if workers:
        warm_up()
    loader: DataLoader[_BatchOrError] = DataLoader(
        _BatchDataset(make),
        batch_size=None,
        sampler=numbers,
        num_workers=min(workers, len(numbers)),
        collate_fn=_return_unchanged,
        worker_init_fn=_start_worker,
        pin_memory=torch.cuda.is_available(),
        generator=torch.Generator(),  # else DataLoader draws from the generator that dropout uses
    )
    with hold_stop_signals():  # whoever starts here never notices Ctrl-C: that is for the training loop to handle
        ready = iter(loader)
    try:
        for made in ready:
            if isinstance(made.result, UserError):
                raise made.result
            yield made.result
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise UserError(
            "a process that reads frames was killed: out of memory, or of shared memory (/dev/shm); "
            "lower data.workers (0 needs no other process) or give the container more (--shm-size)"
        ) from error
    finally:
        _end_workers(ready)


def _end_workers(ready: Iterator[_BatchOrError]) -> None:
    """Here and now: left to `__del__`, a Ctrl-C that arrives meanwhile is lost, with a traceback on the screen."""
    end = getattr(ready, "_shutdown_workers", None)  # no public name; without workers there is none
    if end:
        with hold_stop_signals():
            end()


def _return_unchanged(made: Any) -> Any:
    return made


def _start_worker(number: int) -> None:
    keep_freed_memory()
