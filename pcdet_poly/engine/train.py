"""The training loop."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from pcdet_poly.config.schema import Config
from pcdet_poly.data.load.dataset import FrameDataset
from pcdet_poly.data.load.loader import training_batches
from pcdet_poly.distributed import anywhere, from_first, rank, weights_in_step, world_size
from pcdet_poly.engine.activations import checkpoint_stages
from pcdet_poly.engine.best import score_of
from pcdet_poly.engine.board import show_evaluation
from pcdet_poly.engine.ema import update_average
from pcdet_poly.engine.evaluate import evaluate_run
from pcdet_poly.engine.optim import set_schedule
from pcdet_poly.engine.plan import Plan, plan_of
from pcdet_poly.engine.precision import autocast, check_scale
from pcdet_poly.engine.processes import average_gradients, check_everywhere, share_buffers
from pcdet_poly.engine.progress import progress
from pcdet_poly.engine.run import Run
from pcdet_poly.engine.state import State, restore_state, save_if_best, save_state, seed_step
from pcdet_poly.engine.table import flat_scores
from pcdet_poly.engine.window import SKIPPED
from pcdet_poly.models import Recipe
from pcdet_poly.signals import Stop, stoppable, uninterrupted
from pcdet_poly.structures import Batch, Losses


def train(run: Run, recipe: Recipe, frames: FrameDataset, validation: FrameDataset | None) -> None:
    """Train to the end, from the newest checkpoint where there is one, and evaluate on `validation`.

    Ctrl-C lets the step finish, saves, and raises KeyboardInterrupt. A loss or a gradient that is
    not finite raises UserError and saves nothing.
    """
    plan = plan_of(run.config, frames)
    state = restore_state(run, recipe, plan)
    with stoppable(at_once=world_size() == 1) as stop:
        try:
            _evaluate_if_due(run, recipe, plan, state, validation, stop)  # stopped between a step and its evaluation
            _train_on(run, recipe, plan, state, frames, validation, stop)
        except KeyboardInterrupt:
            with uninterrupted():
                save_state(run, plan, state)
                anywhere(False)  # torchrun ends all processes as soon as one has left
            raise
        finally:
            run.close()


def _train_on(
    run: Run,
    recipe: Recipe,
    plan: Plan,
    state: State,
    frames: FrameDataset,
    validation: FrameDataset | None,
    stop: Stop,
) -> None:
    cfg, optimizer, scaler = run.config.train, state.optimizer, state.scaler
    if cfg.checkpoint_activations:
        checkpoint_stages(recipe.model, compiled=cfg.compile)
    network = torch.compile(recipe.model) if cfg.compile else recipe.model
    recipe.model.train()
    with progress("train", state.step, plan.total_steps) as report:
        for batches in _batches_from(state.step, run.config, plan, frames):  # several where gradients are accumulated
            check_everywhere(stop)
            with uninterrupted():
                seed_step(cfg.seed, state.step)
                set_schedule(optimizer, state.step, plan.total_steps, cfg)
                share_done = state.step / plan.total_steps
                batches = [batch.to(run.device, non_blocking=True) for batch in batches]
                targets = [recipe.assign(batch) for batch in batches]
                weights = weights_in_step([recipe.counts(each) for each in targets])
                parts = []
                optimizer.zero_grad()
                for batch, target, weight in zip(batches, targets, weights, strict=True):
                    with autocast(run.device, cfg.mixed_precision):
                        maps = network(batch)
                    losses = recipe.criterion(maps, target, progress=share_done)  # float32, outside autocast
                    parts.append(_weighted(losses, weight, 1 / len(batches)))
                    scaler.scale(parts[-1].total).backward()  # type: ignore[no-untyped-call]
                average_gradients(recipe.model)
                scaler.unscale_(optimizer)
                gradient_norm = nn.utils.clip_grad_norm_(recipe.model.parameters(), cfg.clip_norm)
                scaler.step(optimizer)
                scaler.update()
                state.step += 1
                if cfg.ema is not None and state.average is not None:
                    update_average(state.average, recipe.model, step=state.step, decay=cfg.ema)
                state.window.add(state.step, _frame_ids(batches), _numbers(parts, gradient_norm, scaler))
                if plan.logs_at(state.step) or run.device.type == "cpu":
                    state.window.check()  # waits for a GPU, hence not at every step there
                    check_scale(scaler, state.step)
                shown = None
                if plan.logs_at(state.step):
                    cells = recipe.observe(maps, targets[-1], progress=share_done)
                    shown = _log_window(run, state, cells)
                report(state.step, len(_frame_ids(batches)) * world_size(), shown)
                if plan.saves_at(state.step):
                    save_state(run, plan, state)
            _evaluate_if_due(run, recipe, plan, state, validation, stop)


def _weighted(losses: Losses, weight: dict[str, Tensor], share: float) -> Losses:
    """The part of a step's losses that one of its batches gives."""
    return Losses({name: loss * weight.get(name, 1) * share for name, loss in losses.parts.items()})


def _numbers(parts: Sequence[Losses], gradient_norm: Tensor, scaler: torch.amp.GradScaler) -> dict[str, Tensor]:
    """What a step gives to the log, still on its device."""
    losses = {name: torch.stack([each.parts[name].detach() for each in parts]).sum() for name in parts[0].parts}
    named = {f"loss/{name}": loss for name, loss in losses.items()}
    skipped = {SKIPPED: ~gradient_norm.isfinite()} if scaler.is_enabled() else {}
    return {"loss": Losses(losses).total, **named, "gradient_norm": gradient_norm, **skipped}


def _frame_ids(batches: Sequence[Batch]) -> tuple[str, ...]:
    return tuple(name for batch in batches for name in batch.frame_ids)


def _batches_from(step: int, config: Config, plan: Plan, frames: FrameDataset) -> Iterator[list[Batch]]:
    """The batches of each step of the run from the one after `step` steps to the last; this process's alone."""
    first_epoch, first_step = divmod(step, plan.steps_per_epoch)
    shared = {"rank": rank(), "world_size": world_size()}
    for epoch in range(first_epoch, plan.epochs):
        batches = training_batches(config, frames, epoch=epoch, first_step=first_step, **shared)
        for _ in range(first_step, plan.steps_in(epoch)):
            yield [next(batches) for _ in range(config.train.accumulate)]
        first_step = 0


def _log_window(run: Run, state: State, cells: dict[str, float]) -> dict[str, float]:
    """Write the means since the last log line and the last batch's `cells`; return what a progress line shows."""
    group = state.optimizer.param_groups[0]
    means = state.window.means()
    run.log("step", state.step, {**means, **cells, "learning_rate": group["lr"], "beta1": group["betas"][0]})
    state.window.clear()
    shown = {name.removeprefix("loss/"): value for name, value in means.items() if name.startswith("loss")}
    return shown | {"rate": group["lr"]}


def _evaluate_if_due(
    run: Run, recipe: Recipe, plan: Plan, state: State, validation: FrameDataset | None, stop: Stop
) -> None:
    """Evaluate, keep the checkpoint if it is the best so far, then log: a logged evaluation is a finished one."""
    if validation is None or not plan.evaluates_at(state.step) or from_first(run.has_logged("evaluation", state.step)):
        return
    state.window.check()
    recipe = replace(recipe, model=state.average or recipe.model)
    share_buffers(recipe.model)
    found = evaluate_run(run, recipe, validation, step=state.step, check=partial(check_everywhere, stop))
    state.model.train()
    if found is None:
        return  # the first of several processes has it
    metrics = found.table.to_json()
    score = score_of(metrics, run.config)
    with uninterrupted():
        save_if_best(run, plan, state, score)
        run.log("evaluation", state.step, {"score": score, **flat_scores(metrics, run.config.data.classes)})
        show_evaluation(run, found.evaluator, run.folder / "pictures", state.step)
