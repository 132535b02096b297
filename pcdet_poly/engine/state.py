"""What changes while a run trains: step, weights, their average, optimiser, loss scale, losses not yet logged."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import nn

from pcdet_poly.config.schema import Config
from pcdet_poly.distributed import rank, world_size
from pcdet_poly.engine.checkpoint import (
    Checkpoint,
    DamagedCheckpointError,
    config_values,
    load_checkpoint,
    load_model,
    save_checkpoint,
)
from pcdet_poly.engine.ema import start_average
from pcdet_poly.engine.loss_window import LossWindow
from pcdet_poly.engine.optim import build_optimizer
from pcdet_poly.engine.precision import build_scaler
from pcdet_poly.engine.run import Run
from pcdet_poly.engine.timeline import Timeline
from pcdet_poly.errors import UserError
from pcdet_poly.losses.gradient_match import MatchedLoss
from pcdet_poly.models import Recipe, build_recipe
from pcdet_poly.names.shown_names import print_line


@dataclass
class TrainingState:
    """Everything that a run needs to go on exactly where it stopped.

    Random numbers are not in it: those of a step come from the seed and the step's number alone
    (`seed_step`), those of the data from the seed, the epoch and the position in it.
    """

    model: nn.Module
    average: nn.Module | None  # moving average of the model's weights, where `train.ema` asks for one
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    window: LossWindow
    step: int = 0  # steps done
    matched: Mapping[str, MatchedLoss] = field(default_factory=dict)  # losses that measure gradients

    def to_checkpoint(self, config: Config, timeline: Timeline, score: float | None = None) -> Checkpoint:
        """Return this state as a record to save.

        Args:
            config: settings of the run.
            timeline: its steps.
            score: of the evaluation that chose this state as the best one, where one did.

        Raises:
            UserError: where a loss since the last log line is not finite.
        """
        self.window.check()
        return Checkpoint(
            step=self.step,
            steps_per_epoch=timeline.steps_per_epoch,
            config=config_values(config),
            model=self.model.state_dict(),
            optimizer=self.optimizer.state_dict(),
            window=self.window.state_dict(),
            score=score,
            average=None if self.average is None else self.average.state_dict(),
            scaler=self.scaler.state_dict(),
            world_size=world_size(),
            matched={name: loss.state_dict() for name, loss in self.matched.items()},
        )


def build_seeded_recipe(config: Config, device: torch.device) -> Recipe:
    """Build the config's detector on `device`, with weights that depend on `train.seed` alone."""
    if config.train.threads:
        torch.set_num_threads(config.train.threads)
    torch.manual_seed(config.train.seed)
    recipe = build_recipe(config)
    for module in recipe.model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and config.train.norm_momentum is not None:
            module.momentum = config.train.norm_momentum
    recipe.model.to(device)
    return recipe


def seed_step(seed: int, step: int) -> None:
    """Make what torch draws at random depend on the run's seed, the number of steps done and the process alone."""
    torch.manual_seed(int(np.random.SeedSequence((seed, step, rank())).generate_state(1, np.uint64)[0]))


def restore_state(run: Run, recipe: Recipe, timeline: Timeline) -> TrainingState:
    """Return the state of the run's newest checkpoint, or a fresh one where there is none.

    Lines of the log after that checkpoint are dropped.

    Args:
        run: the run to go on with.
        recipe: its detector; the weights are changed in place.
        timeline: its steps.

    Raises:
        UserError: where the checkpoint was made by other processes, other data or another model.
    """
    model, cfg = recipe.model, run.config.train
    average = None if cfg.ema is None else start_average(model)
    scaler = build_scaler(run.device, cfg.mixed_precision)
    state = TrainingState(model, average, build_optimizer(model, cfg), scaler, LossWindow(), matched=recipe.matched)
    found = _load_newest_checkpoint(run)
    if found is not None:
        path, checkpoint = found
        if checkpoint.world_size != world_size():
            raise UserError(
                f"{path}: {checkpoint.world_size} processes trained it, now there are {world_size()}; resume with "
                "as many (torchrun --nproc-per-node; one without torchrun), or choose another --name"
            )
        if checkpoint.steps_per_epoch != timeline.steps_per_epoch:
            raise UserError(
                f"{path}: an epoch had {checkpoint.steps_per_epoch} steps, with this data it has "
                f"{timeline.steps_per_epoch}; resume with the same data.train, or choose another --name"
            )
        load_model(model, checkpoint, path, run.config, weights="raw")
        if average is not None:
            load_model(average, checkpoint, path, run.config, weights="ema")
        state.optimizer.load_state_dict(dict(checkpoint.optimizer))
        state.scaler.load_state_dict(dict(checkpoint.scaler))
        state.window = LossWindow.from_state_dict(checkpoint.window, run.device)
        state.step = checkpoint.step
        for name, loss in recipe.matched.items():
            loss.load_state_dict(checkpoint.matched.get(name, {}), run.device)
    run.rewind_log(state.step)
    return state


def _load_newest_checkpoint(run: Run) -> tuple[Path, Checkpoint] | None:
    """Load the newest checkpoint that is whole; name those that are not on stderr. None where there is none yet."""
    saved = run.list_checkpoints()
    for path in saved:
        try:
            return path, load_checkpoint(path)
        except DamagedCheckpointError as error:
            if path == saved[-1]:
                raise
            if rank() == 0:
                print_line(f"{str(error).partition(';')[0]}; going on from the one before it", file=sys.stderr)
    return None


def save_state(run: Run, timeline: Timeline, state: TrainingState) -> None:
    """Write the checkpoint of this step, then delete those that are older than `train.keep_checkpoints`.

    Args:
        run: the run to write into.
        timeline: its steps.
        state: what to save.
    """
    checkpoint = state.to_checkpoint(run.config, timeline)
    if rank() > 0:
        return
    save_checkpoint(run.checkpoint_path(state.step), checkpoint)
    for path in run.list_checkpoints()[run.config.train.keep_checkpoints :]:
        path.unlink()


def save_if_best(run: Run, timeline: Timeline, state: TrainingState, score: float) -> None:
    """Write `best.pt` if no earlier step had at least this score.

    Args:
        run: the run to write into.
        timeline: its steps.
        state: what to save.
        score: of the evaluation of this state.
    """
    before = load_checkpoint(run.best_checkpoint).score if run.best_checkpoint.is_file() else None
    if before is None or score > before:
        save_checkpoint(run.best_checkpoint, state.to_checkpoint(run.config, timeline, score))
