"""The training loop."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from pcdet_poly.config.schema import Config
from pcdet_poly.data.dataset import FrameDataset
from pcdet_poly.data.loader import steps_per_epoch, training_batches
from pcdet_poly.engine.evaluate import evaluate_run
from pcdet_poly.engine.optim import set_one_cycle
from pcdet_poly.engine.plan import Plan
from pcdet_poly.engine.progress import progress
from pcdet_poly.engine.run import Run
from pcdet_poly.engine.state import State, restore_state, save_if_best, save_state, seed_step
from pcdet_poly.engine.table import flat_scores, mean_level_2_aph
from pcdet_poly.interrupt import Stop, stoppable, uninterrupted
from pcdet_poly.models import Recipe
from pcdet_poly.structures import Batch, Losses


def train(run: Run, recipe: Recipe, frames: FrameDataset, validation: FrameDataset | None) -> None:
    """Train to the end, from the newest checkpoint where there is one, and evaluate on `validation`.

    Ctrl-C lets the step finish, saves, and raises KeyboardInterrupt. A loss or a gradient that is
    not finite raises UserError and saves nothing.
    """
    plan = Plan(run.config.train, steps_per_epoch(run.config, frames))
    state = restore_state(run, recipe, plan)
    try:
        with stoppable() as stop:
            _evaluate_if_due(run, recipe, plan, state, validation)  # stopped between a step and its evaluation
            _train_on(run, recipe, plan, state, frames, validation, stop)
    except KeyboardInterrupt:
        save_state(run, plan, state)
        raise
    finally:
        run.tensorboard.close()


def _train_on(
    run: Run,
    recipe: Recipe,
    plan: Plan,
    state: State,
    frames: FrameDataset,
    validation: FrameDataset | None,
    stop: Stop,
) -> None:
    cfg, optimizer = run.config.train, state.optimizer
    network = torch.compile(recipe.model) if cfg.compile else recipe.model
    recipe.model.train()
    with progress("train", state.step, plan.total_steps) as report:
        for batch in _batches_from(state.step, run.config, plan, frames):
            stop.check()
            with uninterrupted():
                seed_step(cfg.seed, state.step)
                set_one_cycle(optimizer, state.step, plan.total_steps, cfg)
                share_done = state.step / plan.total_steps
                batch = batch.to(run.device, non_blocking=True)
                with torch.autocast(run.device.type, torch.bfloat16, enabled=cfg.mixed_precision):
                    maps = network(batch)
                targets = recipe.assign(batch)
                losses = recipe.criterion(maps, targets, progress=share_done)  # float32, outside autocast
                optimizer.zero_grad()
                losses.total.backward()  # type: ignore[no-untyped-call]
                gradient_norm = nn.utils.clip_grad_norm_(recipe.model.parameters(), cfg.clip_norm)
                optimizer.step()
                state.step += 1
                state.window.add(state.step, batch.frame_ids, _numbers(losses, gradient_norm))
                if plan.logs_at(state.step) or run.device.type == "cpu":
                    state.window.check()  # waits for a GPU, hence not at every step there
                shown = None
                if plan.logs_at(state.step):
                    cells = recipe.observe(maps, targets, progress=share_done)
                    shown = _log_window(run, state, cells)
                report(state.step, batch.size, shown)
                if plan.saves_at(state.step):
                    save_state(run, plan, state)
            _evaluate_if_due(run, recipe, plan, state, validation)


def _numbers(losses: Losses, gradient_norm: Tensor) -> dict[str, Tensor]:
    """What a step gives to the log, still on its device."""
    parts = {f"loss/{name}": loss for name, loss in losses.parts.items()}
    return {"loss": losses.total, **parts, "gradient_norm": gradient_norm}


def _batches_from(step: int, config: Config, plan: Plan, frames: FrameDataset) -> Iterator[Batch]:
    """The batches of the run from the one after `step` steps to the last."""
    first_epoch, first_step = divmod(step, plan.steps_per_epoch)
    for epoch in range(first_epoch, config.train.epochs):
        yield from training_batches(config, frames, epoch=epoch, first_step=first_step)
        first_step = 0


def _log_window(run: Run, state: State, cells: dict[str, float]) -> dict[str, float]:
    """Write the means since the last log line and the last batch's `cells`; return what a progress line shows."""
    group = state.optimizer.param_groups[0]
    means = state.window.means()
    run.log("step", state.step, {**means, **cells, "learning_rate": group["lr"], "beta1": group["betas"][0]})
    state.window.clear()
    shown = {name.removeprefix("loss/"): value for name, value in means.items() if name.startswith("loss")}
    return shown | {"rate": group["lr"]}


def _evaluate_if_due(run: Run, recipe: Recipe, plan: Plan, state: State, validation: FrameDataset | None) -> None:
    """Evaluate, keep the checkpoint if it is the best so far, then log: a logged evaluation is a finished one."""
    if validation is None or not plan.evaluates_at(state.step) or run.has_logged("evaluation", state.step):
        return
    metrics = evaluate_run(run, recipe, validation, step=state.step).table.to_json()
    recipe.model.train()
    classes = run.config.data.classes
    score = mean_level_2_aph(metrics, run.config.evaluation.best_by, classes)
    with uninterrupted():
        save_if_best(run, plan, state, score)
        run.log("evaluation", state.step, {"score": score, **flat_scores(metrics, classes)})
