"""One run while it trains: its network, its state, and a step of both."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from pcdet_poly.data.load.dataset import FrameDataset
from pcdet_poly.distributed import compute_loss_weights
from pcdet_poly.engine.activations import enable_checkpointing
from pcdet_poly.engine.ema import update_average
from pcdet_poly.engine.gradient_sizes import GradientSizes
from pcdet_poly.engine.loss_window import SKIPPED
from pcdet_poly.engine.optim import set_rates
from pcdet_poly.engine.precision import autocast, check_scale
from pcdet_poly.engine.processes import average_gradients
from pcdet_poly.engine.run import Run
from pcdet_poly.engine.state import TrainingState, restore_state, save_state, seed_step
from pcdet_poly.engine.timeline import Timeline, build_timeline
from pcdet_poly.errors import UserError
from pcdet_poly.models import Recipe
from pcdet_poly.structures import Batch, Losses


@dataclass
class Training:
    """A run that trains, alone or beside others.

    Args:
        run: the run to write into.
        recipe: its detector; the weights are changed in place.
        timeline: its steps.
    """

    run: Run
    recipe: Recipe
    timeline: Timeline
    state: TrainingState = field(init=False)
    error: UserError | None = None  # that ended it
    _network: Callable[[Batch], Any] = field(init=False)  # the recipe's, compiled where the run asks for it
    _gradient_sizes: GradientSizes = field(init=False)

    @contextmanager
    def keep_error(self) -> Iterator[None]:
        """Keep a UserError that the block raises: it ends this training, and no other."""
        try:
            yield
        except UserError as error:
            self.error = error

    def restore(self) -> None:
        """Go on where the run's newest checkpoint is, or begin. Raises UserError where the checkpoint does not fit."""
        self.state = restore_state(self.run, self.recipe, self.timeline)

    def prepare_network(self) -> None:
        """Compile the network and recompute its activations where the run asks for it, and set it to training."""
        cfg, model = self.run.config.train, self.recipe.model
        if cfg.checkpoint_activations:
            enable_checkpointing(model, compiled=cfg.compile)
        self._network = torch.compile(model) if cfg.compile else model
        self._gradient_sizes = GradientSizes(model, with_trunk=not (cfg.compile or cfg.checkpoint_activations))
        model.train()

    def take_step(self, batches: Sequence[Batch], targets: Sequence[Any]) -> dict[str, float] | None:
        """Take one step, and write a line of the log where one is due.

        Args:
            batches: on the run's device; several where gradients are accumulated.
            targets: of each batch.

        Returns:
            What a progress line shows, where a line of the log was written.

        Raises:
            UserError: where a loss or a gradient is not finite.
        """
        cfg, state, device = self.run.config.train, self.state, self.run.device
        optimizer, scaler = state.optimizer, state.scaler
        seed_step(cfg.seed, state.step)
        set_rates(optimizer, state.step, self.timeline.total_steps, cfg)
        share_done = state.step / self.timeline.total_steps
        weights = compute_loss_weights([self.recipe.counts(each) for each in targets])
        parts, sizes = [], dict[str, float]()
        optimizer.zero_grad()
        for batch, target, weight in zip(batches, targets, weights, strict=True):
            with autocast(device, cfg.mixed_precision):
                maps = self._network(batch)
            losses = self.recipe.criterion(maps, target, progress=share_done)  # float32, outside autocast
            parts.append(_weigh_losses(losses, weight, 1 / len(batches)))
            if self.timeline.should_log(state.step + 1) and batch is batches[-1]:
                sizes = self._gradient_sizes.measure(maps, losses.parts, scale=scaler.get_scale())
            scaler.scale(parts[-1].total).backward()  # type: ignore[no-untyped-call]
        average_gradients(self.recipe.model)
        scaler.unscale_(optimizer)
        gradient_norm = nn.utils.clip_grad_norm_(self.recipe.model.parameters(), cfg.clip_norm)
        scaler.step(optimizer)
        scaler.update()
        state.step += 1
        if cfg.ema is not None and state.average is not None:
            update_average(state.average, self.recipe.model, step=state.step, decay=cfg.ema)
        state.window.add(state.step, list_frame_ids(batches), _collect_numbers(parts, gradient_norm, self))
        if self.timeline.should_log(state.step) or device.type == "cpu":
            state.window.check()  # waits for a GPU, hence not at every step there
            check_scale(scaler, state.step)
        if not self.timeline.should_log(state.step):
            return None
        cells = self.recipe.observe(maps, targets[-1], progress=share_done)
        return self._log_window(cells | sizes | _describe_matches(self.recipe))

    def save(self) -> None:
        """Write the checkpoint of this step. Raises UserError where a loss since the last log line is not finite."""
        save_state(self.run, self.timeline, self.state)

    def _log_window(self, cells: dict[str, float]) -> dict[str, float]:
        """Write the means since the last log line and the last batch's `cells`; return what a progress line shows."""
        state, group = self.state, self.state.optimizer.param_groups[0]
        means = state.window.compute_means()
        self.run.log("step", state.step, {**means, **cells, "learning_rate": group["lr"], "beta1": group["betas"][0]})
        state.window.clear()
        shown = {name.removeprefix("loss/"): value for name, value in means.items() if name.startswith("loss")}
        return shown | {"rate": group["lr"]}


def build_training(run: Run, recipe: Recipe, frames: FrameDataset) -> Training:
    """Build the training of a run; nothing is read or written yet.

    Args:
        run: the run to write into.
        recipe: its detector.
        frames: frames to train on.
    """
    return Training(run, recipe, build_timeline(run.config, frames))


def list_frame_ids(batches: Sequence[Batch]) -> tuple[str, ...]:
    """List the frames of a step's batches."""
    return tuple(name for batch in batches for name in batch.frame_ids)


def _weigh_losses(losses: Losses, weight: Mapping[str, Tensor], share: float) -> Losses:
    """Return the part of a step's losses that one of its batches gives."""
    return Losses({name: loss * weight.get(name, 1) * share for name, loss in losses.parts.items()})


def _collect_numbers(parts: Sequence[Losses], gradient_norm: Tensor, training: Training) -> dict[str, Tensor]:
    """Return what a step gives to the log, still on its device."""
    losses = {name: torch.stack([each.parts[name].detach() for each in parts]).sum() for name in parts[0].parts}
    named = {f"loss/{name}": loss for name, loss in losses.items()}
    skipped = {SKIPPED: ~gradient_norm.isfinite()} if training.state.scaler.is_enabled() else {}
    numbers = {
        "gradient_norm": gradient_norm,
        "clipped_steps": (gradient_norm > training.run.config.train.clip_norm).float(),
    }  # a share, as means
    return {"loss": Losses(losses).total, **named, **numbers, **skipped}


def _describe_matches(recipe: Recipe) -> dict[str, float]:
    """Return the weights that losses have by `match`, for the log."""
    return {
        f"match/{name}/{part}": weight
        for name, loss in recipe.matched.items()
        for part, weight in loss.describe_weights().items()
    }
