"""The training loop."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from pcdet_poly.config.schema import Config
from pcdet_poly.data.load.dataset import FrameDataset
from pcdet_poly.data.load.loader import load_training_batches
from pcdet_poly.distributed import broadcast_from_first, compute_loss_weights, rank, wait_for_all, world_size
from pcdet_poly.engine.activations import enable_checkpointing
from pcdet_poly.engine.best import compute_score
from pcdet_poly.engine.board import show_evaluation
from pcdet_poly.engine.ema import update_average
from pcdet_poly.engine.evaluate import evaluate_run
from pcdet_poly.engine.gradient_sizes import GradientSizes
from pcdet_poly.engine.loss_window import SKIPPED
from pcdet_poly.engine.optim import set_rates
from pcdet_poly.engine.precision import autocast, check_scale
from pcdet_poly.engine.processes import average_gradients, share_buffers, stop_if_asked_anywhere
from pcdet_poly.engine.progress import report_progress
from pcdet_poly.engine.run import Run
from pcdet_poly.engine.state import TrainingState, restore_state, save_if_best, save_state, seed_step
from pcdet_poly.engine.table import flatten_scores
from pcdet_poly.engine.timeline import Timeline, build_timeline
from pcdet_poly.models import Recipe
from pcdet_poly.signals import StopRequest, catch_stop_signals, hold_stop_signals
from pcdet_poly.structures import Batch, Losses


def train(run: Run, recipe: Recipe, frames: FrameDataset, validation: FrameDataset | None) -> None:
    """Train to the end, from the newest checkpoint where there is one, and evaluate.

    Ctrl-C lets the step finish, saves, and raises KeyboardInterrupt. A loss or a gradient that is not finite saves
    nothing.

    Args:
        run: the run to write into.
        recipe: its detector; the weights are changed in place.
        frames: frames to train on.
        validation: frames to evaluate on, if any.

    Raises:
        UserError: where a loss or a gradient is not finite.
        KeyboardInterrupt: where somebody asked to stop.
    """
    timeline = build_timeline(run.config, frames)
    state = restore_state(run, recipe, timeline)
    with catch_stop_signals(at_once=world_size() == 1) as stop:
        try:
            _evaluate_if_due(
                run, recipe, timeline, state, validation, stop
            )  # stopped between a step and its evaluation
            _train_on(run, recipe, timeline, state, frames, validation, stop)
        except KeyboardInterrupt:
            with hold_stop_signals():
                save_state(run, timeline, state)
                wait_for_all()  # torchrun ends all processes as soon as one has left
            raise
        finally:
            run.close()


def _train_on(
    run: Run,
    recipe: Recipe,
    timeline: Timeline,
    state: TrainingState,
    frames: FrameDataset,
    validation: FrameDataset | None,
    stop: StopRequest,
) -> None:
    cfg, optimizer, scaler = run.config.train, state.optimizer, state.scaler
    if cfg.checkpoint_activations:
        enable_checkpointing(recipe.model, compiled=cfg.compile)
    network = torch.compile(recipe.model) if cfg.compile else recipe.model
    gradient_sizes = GradientSizes(recipe.model, with_trunk=not (cfg.compile or cfg.checkpoint_activations))
    recipe.model.train()
    with report_progress("train", state.step, timeline.total_steps) as report:
        for batches in _iterate_batches(
            state.step, run.config, timeline, frames
        ):  # several where gradients are accumulated
            stop_if_asked_anywhere(stop)
            with hold_stop_signals():
                seed_step(cfg.seed, state.step)
                set_rates(optimizer, state.step, timeline.total_steps, cfg)
                share_done = state.step / timeline.total_steps
                batches = [batch.to(run.device, non_blocking=True) for batch in batches]
                targets = [recipe.assign(batch) for batch in batches]
                weights = compute_loss_weights([recipe.counts(each) for each in targets])
                parts, sizes = [], dict[str, float]()
                optimizer.zero_grad()
                for batch, target, weight in zip(batches, targets, weights, strict=True):
                    with autocast(run.device, cfg.mixed_precision):
                        maps = network(batch)
                    losses = recipe.criterion(maps, target, progress=share_done)  # float32, outside autocast
                    parts.append(_weigh_losses(losses, weight, 1 / len(batches)))
                    if timeline.should_log(state.step + 1) and batch is batches[-1]:
                        sizes = gradient_sizes.measure(maps, losses.parts, scale=scaler.get_scale())
                    scaler.scale(parts[-1].total).backward()  # type: ignore[no-untyped-call]
                average_gradients(recipe.model)
                scaler.unscale_(optimizer)
                gradient_norm = nn.utils.clip_grad_norm_(recipe.model.parameters(), cfg.clip_norm)
                scaler.step(optimizer)
                scaler.update()
                state.step += 1
                if cfg.ema is not None and state.average is not None:
                    update_average(state.average, recipe.model, step=state.step, decay=cfg.ema)
                state.window.add(
                    state.step, _list_frame_ids(batches), _collect_numbers(parts, gradient_norm, scaler, cfg.clip_norm)
                )
                if timeline.should_log(state.step) or run.device.type == "cpu":
                    state.window.check()  # waits for a GPU, hence not at every step there
                    check_scale(scaler, state.step)
                shown = None
                if timeline.should_log(state.step):
                    cells = recipe.observe(maps, targets[-1], progress=share_done)
                    shown = _log_window(run, state, cells | sizes | _describe_matches(recipe))
                report(state.step, len(_list_frame_ids(batches)) * world_size(), shown)
                if timeline.should_save(state.step):
                    save_state(run, timeline, state)
            _evaluate_if_due(run, recipe, timeline, state, validation, stop)


def _weigh_losses(losses: Losses, weight: dict[str, Tensor], share: float) -> Losses:
    """Return the part of a step's losses that one of its batches gives."""
    return Losses({name: loss * weight.get(name, 1) * share for name, loss in losses.parts.items()})


def _collect_numbers(
    parts: Sequence[Losses], gradient_norm: Tensor, scaler: torch.amp.GradScaler, clip_norm: float
) -> dict[str, Tensor]:
    """Return what a step gives to the log, still on its device."""
    losses = {name: torch.stack([each.parts[name].detach() for each in parts]).sum() for name in parts[0].parts}
    named = {f"loss/{name}": loss for name, loss in losses.items()}
    skipped = {SKIPPED: ~gradient_norm.isfinite()} if scaler.is_enabled() else {}
    numbers = {
        "gradient_norm": gradient_norm,
        "clipped_steps": (gradient_norm > clip_norm).float(),
    }  # a share, as means
    return {"loss": Losses(losses).total, **named, **numbers, **skipped}


def _describe_matches(recipe: Recipe) -> dict[str, float]:
    """Return the weights that losses have by `match`, for the log."""
    return {
        f"match/{name}/{part}": weight
        for name, loss in recipe.matched.items()
        for part, weight in loss.describe_weights().items()
    }


def _list_frame_ids(batches: Sequence[Batch]) -> tuple[str, ...]:
    return tuple(name for batch in batches for name in batch.frame_ids)


def _iterate_batches(step: int, config: Config, timeline: Timeline, frames: FrameDataset) -> Iterator[list[Batch]]:
    """Yield the batches of each step from the one after `step` steps to the last, those of this process alone.

    A step has several batches where gradients are accumulated.
    """
    first_epoch, first_step = divmod(step, timeline.steps_per_epoch)
    shared = {"rank": rank(), "world_size": world_size()}
    for epoch in range(first_epoch, timeline.epochs):
        batches = load_training_batches(config, frames, epoch=epoch, first_step=first_step, **shared)
        for _ in range(first_step, timeline.count_steps_in(epoch)):
            yield [next(batches) for _ in range(config.train.accumulate)]
        first_step = 0


def _log_window(run: Run, state: TrainingState, cells: dict[str, float]) -> dict[str, float]:
    """Write the means since the last log line and the last batch's `cells`; return what a progress line shows."""
    group = state.optimizer.param_groups[0]
    means = state.window.compute_means()
    run.log("step", state.step, {**means, **cells, "learning_rate": group["lr"], "beta1": group["betas"][0]})
    state.window.clear()
    shown = {name.removeprefix("loss/"): value for name, value in means.items() if name.startswith("loss")}
    return shown | {"rate": group["lr"]}


def _evaluate_if_due(
    run: Run,
    recipe: Recipe,
    timeline: Timeline,
    state: TrainingState,
    validation: FrameDataset | None,
    stop: StopRequest,
) -> None:
    """Evaluate, keep the checkpoint if it is the best so far, then log: a logged evaluation is a finished one."""
    if (
        validation is None
        or not timeline.should_evaluate(state.step)
        or broadcast_from_first(run.has_logged("evaluation", state.step))
    ):
        return
    state.window.check()
    recipe = replace(recipe, model=state.average or recipe.model)
    share_buffers(recipe.model)
    found = evaluate_run(run, recipe, validation, step=state.step, check=partial(stop_if_asked_anywhere, stop))
    state.model.train()
    if found is None:
        return  # the first of several processes has it
    metrics = found.table.to_json()
    score = compute_score(metrics, run.config)
    with hold_stop_signals():
        save_if_best(run, timeline, state, score)
        run.log("evaluation", state.step, {"score": score, **flatten_scores(metrics, run.config.data.classes)})
        show_evaluation(run, found.evaluator, run.folder / "pictures", state.step)
