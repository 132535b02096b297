"""`train.mixed_precision: auto`: which arithmetic a training step is faster in, measured on the step itself."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import TypeVar

import torch

from pcdet_poly.config.load import load_config
from pcdet_poly.config.schema import Config
from pcdet_poly.config.sections.train import Arithmetic
from pcdet_poly.data.load.dataset import FrameDataset
from pcdet_poly.data.load.loader import load_training_batches
from pcdet_poly.distributed import broadcast_from_first, rank, world_size
from pcdet_poly.engine.optim import build_optimizer
from pcdet_poly.engine.precision import autocast, check_precision
from pcdet_poly.engine.state import build_seeded_recipe
from pcdet_poly.errors import UserError
from pcdet_poly.names.shown_names import print_line

Kind = TypeVar("Kind", bound=Hashable)
KINDS: tuple[Arithmetic, ...] = (False, "bf16")
WARM_UP = 2  # steps of each kind that count for nothing
MIN_STEPS = 3  # of each kind
BUDGET_S = 1.0  # for all steps that count


def fix_precision(config: Config, frames: FrameDataset, folder: Path, device: torch.device) -> Config:
    """Return the config with a fixed `train.mixed_precision` in place of `auto`.

    A run that is there keeps what it was begun with. For a new one float32 and bfloat16 take turns at training steps
    for about a second, and the first process says on stderr what they took.

    Args:
        config: settings of the run; returned as they are unless they say `auto`.
        frames: frames to train on.
        folder: the run's folder, which need not be there.
        device: where the network runs.
    """
    if config.train.mixed_precision != "auto":
        return config
    kept = broadcast_from_first(read_fixed_precision(folder / "config.yaml") if rank() == 0 else None)
    if kept is not None:
        return set_precision(config, kept)
    return set_precision(config, broadcast_from_first(choose_precision(config, frames, device)))


def read_fixed_precision(path: Path) -> Arithmetic | None:
    """Read the arithmetic that an earlier start wrote into its config; None where there is none yet."""
    if not path.is_file():
        return None
    found = load_config(path).train.mixed_precision
    return None if found == "auto" else found


def set_precision(config: Config, kind: Arithmetic) -> Config:
    """Return the config with that `train.mixed_precision`."""
    return config.model_copy(update={"train": config.train.model_copy(update={"mixed_precision": kind})})


def choose_precision(config: Config, frames: FrameDataset, device: torch.device) -> Arithmetic:
    """Choose the arithmetic whose training step is faster here, and say so on stderr.

    Args:
        config: settings of the run.
        frames: frames to train on; the first batch is the one that is measured on.
        device: where the network runs.
    """
    kinds = [kind for kind in KINDS if _is_possible(kind, device)]
    if len(kinds) == 1:
        return kinds[0]
    steps = {kind: _build_step(config, frames, device, kind) for kind in kinds}
    seconds = measure_in_turns(steps)
    best = min(kinds, key=seconds.__getitem__)
    if rank() == 0:
        times = ", ".join(f"{kind or 'float32'} {1e3 * seconds[kind]:.1f} ms" for kind in kinds)
        print_line(f"train.mixed_precision = auto: {best or 'float32'} (a step takes: {times})", file=sys.stderr)
    return best


def measure_in_turns(
    steps: dict[Kind, Callable[[], None]],
    *,
    warm_up: int = WARM_UP,
    min_steps: int = MIN_STEPS,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[Kind, float]:
    """Return the least seconds that each step takes: steps take turns, so that a busy machine slows all alike.

    Several processes take equally many steps, because some losses are summed over processes.

    Args:
        steps: what to measure.
        warm_up: steps of each kind that count for nothing.
        min_steps: of each kind that count.
        clock: seconds.
    """
    for step in steps.values():
        for _ in range(warm_up):
            step()
    found: dict[Kind, list[float]] = {kind: [] for kind in steps}
    begin_s, num_turns = clock(), 0
    while num_turns < min_steps or (world_size() == 1 and clock() - begin_s < BUDGET_S):
        for kind, step in steps.items():
            start_s = clock()
            step()
            found[kind].append(clock() - start_s)
        num_turns += 1
    return {kind: min(times) for kind, times in found.items()}


def _is_possible(kind: Arithmetic, device: torch.device) -> bool:
    try:
        check_precision(device, kind)
    except UserError:
        return False
    return True


def _build_step(config: Config, frames: FrameDataset, device: torch.device, kind: Arithmetic) -> Callable[[], None]:
    """Build a training step of a network that is thrown away, on the first batch. It waits for the device."""
    here = config.model_copy(update={"data": config.data.model_copy(update={"workers": 0})})
    recipe = build_seeded_recipe(config, device)
    optimizer = build_optimizer(recipe.model, config.train)
    batch = next(iter(load_training_batches(here, frames, epoch=0))).to(device)
    recipe.model.train()

    def step() -> None:
        optimizer.zero_grad()
        with autocast(device, kind):
            maps = recipe.model(batch)
        recipe.criterion(maps, recipe.assign(batch), progress=0.0).total.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return step
