"""The training loop."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from pcdet_poly.config.schema import Config
from pcdet_poly.data.load.dataset import FrameDataset
from pcdet_poly.data.load.loader import load_training_batches
from pcdet_poly.distributed import broadcast_from_first, rank, wait_for_all, world_size
from pcdet_poly.engine.best import compute_score
from pcdet_poly.engine.board import show_evaluation
from pcdet_poly.engine.evaluate import evaluate_run
from pcdet_poly.engine.lockstep import describe_shared_settings
from pcdet_poly.engine.processes import share_buffers, stop_if_asked_anywhere
from pcdet_poly.engine.progress import report_progress
from pcdet_poly.engine.run import Run
from pcdet_poly.engine.state import save_if_best
from pcdet_poly.engine.table import flatten_scores
from pcdet_poly.engine.timeline import Timeline
from pcdet_poly.engine.training import Training, build_training, list_frame_ids
from pcdet_poly.errors import UserError
from pcdet_poly.models import Recipe
from pcdet_poly.models.layers.shared_inputs import share_inputs
from pcdet_poly.signals import StopRequest, catch_stop_signals, hold_stop_signals
from pcdet_poly.structures import Batch


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
    (error,) = train_in_lockstep([(run, recipe)], frames, validation)
    if error is not None:
        raise error


def train_in_lockstep(
    runs: Sequence[tuple[Run, Recipe]], frames: FrameDataset, validation: FrameDataset | None
) -> tuple[UserError | None, ...]:
    """Train several runs step by step beside each other, so that they share what does not depend on their weights.

    Each run gets what it would get alone, bit for bit: every batch is read, augmented, grouped into cells and
    turned into targets once, and all runs take the step on it. A run that is behind, because it was stopped
    earlier, catches up first. Ctrl-C lets all finish the step, saves, and raises KeyboardInterrupt.

    Args:
        runs: runs and their detectors; their settings differ in losses and optimisation alone.
        frames: frames to train on.
        validation: frames to evaluate on, if any.

    Returns:
        For each run the error that ended it, None where it came to its end. The others go on.

    Raises:
        UserError: where frames cannot be read.
        KeyboardInterrupt: where somebody asked to stop.
    """
    shared = [describe_shared_settings(run.config) for run, _ in runs]
    assert all(each == shared[0] for each in shared), "these runs do not read the same batches"
    trainings = [build_training(run, recipe, frames) for run, recipe in runs]
    if len(runs) > 1:
        share_inputs(recipe.model for _, recipe in runs)
    for training in trainings:
        with training.keep_error():
            training.restore()
    with catch_stop_signals(at_once=world_size() == 1) as stop:
        try:
            _evaluate_due(trainings, validation, stop)  # stopped between a step and its evaluation
            _train_on(trainings, frames, validation, stop)
        except KeyboardInterrupt:
            with hold_stop_signals():
                _save_all(trainings)
                wait_for_all()  # torchrun ends all processes as soon as one has left
            raise
        finally:
            for training in trainings:
                training.run.close()
    return tuple(training.error for training in trainings)


def _train_on(
    trainings: Sequence[Training], frames: FrameDataset, validation: FrameDataset | None, stop: StopRequest
) -> None:
    going = _list_going(trainings)
    if not going:
        return
    for training in going:
        training.prepare_network()
    first, timeline = min(training.state.step for training in going), going[0].timeline
    with report_progress("train", first, timeline.total_steps) as report:
        every_step = _iterate_batches(first, going[0].run.config, timeline, frames)
        for step, batches in enumerate(every_step, start=first):  # several where gradients are accumulated
            stop_if_asked_anywhere(stop)
            with hold_stop_signals():
                shown = _take_step(step, going, [batch.to(going[0].run.device, non_blocking=True) for batch in batches])
                report(step + 1, len(list_frame_ids(batches)) * world_size(), shown)
                for training in _list_going(going):
                    if training.state.step == step + 1 and training.timeline.should_save(step + 1):
                        with training.keep_error():
                            training.save()
            _evaluate_due([training for training in going if training.state.step == step + 1], validation, stop)
            if not (going := _list_going(going)):
                break


def _take_step(step: int, trainings: Sequence[Training], batches: Sequence[Batch]) -> dict[str, float] | None:
    """Let every training that has done `step` steps take the next one; return what a progress line shows of the first.

    Targets are made once: they follow from the batch and from settings that all have in common.
    """
    shown: list[dict[str, float] | None] = []
    targets: list[Any] | None = None
    for training in trainings:
        if training.state.step != step:  # ahead of the others
            continue
        if targets is None or not training.recipe.shares_targets:
            targets = [training.recipe.assign(batch) for batch in batches]
        with training.keep_error():
            shown.append(training.take_step(batches, targets))
    return shown[0] if shown else None


def _list_going(trainings: Sequence[Training]) -> list[Training]:
    """List the trainings that no error has ended."""
    return [training for training in trainings if training.error is None]


def _save_all(trainings: Sequence[Training]) -> None:
    """Save what goes on later. Raises UserError where there is nothing left to go on with."""
    for training in _list_going(trainings):
        with training.keep_error():
            training.save()
    if not _list_going(trainings):
        raise next(training.error for training in trainings if training.error is not None)


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


def _evaluate_due(trainings: Sequence[Training], validation: FrameDataset | None, stop: StopRequest) -> None:
    """Evaluate every training that is at a step where it should be, and has not been yet."""
    if validation is None:
        return
    for training in _list_going(trainings):
        with training.keep_error():
            if training.timeline.should_evaluate(training.state.step) and not broadcast_from_first(
                training.run.has_logged("evaluation", training.state.step)
            ):
                _evaluate(training, validation, stop)


def _evaluate(training: Training, validation: FrameDataset, stop: StopRequest) -> None:
    """Evaluate, keep the checkpoint if it is the best so far, then log: a logged evaluation is a finished one."""
    run, state = training.run, training.state
    state.window.check()
    recipe = replace(training.recipe, model=state.average or training.recipe.model)
    share_buffers(recipe.model)
    found = evaluate_run(run, recipe, validation, step=state.step, check=partial(stop_if_asked_anywhere, stop))
    state.model.train()
    if found is None:
        return  # the first of several processes has it
    metrics = found.table.to_json()
    score = compute_score(metrics, run.config)
    with hold_stop_signals():
        save_if_best(run, training.timeline, state, score)
        run.log("evaluation", state.step, {"score": score, **flatten_scores(metrics, run.config.data.classes)})
        show_evaluation(run, found.evaluator, run.folder / "pictures", state.step)
