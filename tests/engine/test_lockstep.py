"""Runs in lockstep: each is what it would be alone, whatever stops one of them, and batches are made once for all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from pcdet_poly.config.schema import Config
from pcdet_poly.data.load import loader
from pcdet_poly.engine import train as loop
from pcdet_poly.engine.frames import open_training_frames, open_validation_frames
from pcdet_poly.engine.lockstep import describe_shared_settings
from pcdet_poly.engine.run import Run
from pcdet_poly.engine.start import prepare_run
from pcdet_poly.errors import UserError
from pcdet_poly.models import Recipe
from pcdet_poly.models.layers import pillar_encoder
from pcdet_poly.models.layers.shared_inputs import SharedInputs
from pcdet_poly.structures import Losses
from tests.engine.test_gradient_sizes import change_loss
from tests.engine.test_train import CPU, assert_same_results, run_in, stop_before


@pytest.fixture(scope="module")
def arms(tiny) -> dict[str, Config]:
    """Three trainings that differ in losses and optimisation."""
    return {
        "focal": tiny(),
        "eps2": change_loss(tiny(learning_rate=0.02, schedule="cosine", mixed_precision="bf16"), epsilon=2.0),
        "matched": change_loss(tiny(ema=0.9, log_every=1), epsilon=-1.0, match="step"),
    }


@pytest.fixture(scope="module")
def alone(arms: Mapping[str, Config], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """Each of them in a process's life of its own."""
    folder = tmp_path_factory.mktemp("alone")
    return {name: run_in(folder / name, config) for name, config in arms.items()}


def train_together(
    folder: Path, arms: Mapping[str, Config], *, change: Callable[[str, Recipe], Recipe] = lambda name, recipe: recipe
) -> tuple[dict[str, Run], tuple[UserError | None, ...]]:
    frames = open_training_frames(next(iter(arms.values())))
    prepared = [(name, *prepare_run(config, frames, folder / name, CPU, resume=True)) for name, config in arms.items()]
    errors = loop.train_in_lockstep(
        [(run, change(name, recipe)) for name, run, recipe in prepared], frames, open_validation_frames(arms["focal"])
    )
    return {name: run for name, run, _ in prepared}, errors


def test_every_run_is_what_it_would_be_alone(
    tmp_path: Path, arms: dict[str, Config], alone: dict[str, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And batches, cells of points and targets are made once: 9 steps, whatever the number of runs."""
    counts = {"batches": 0, "voxels": 0, "targets": 0}

    def count(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            counts[name] += 1
            return function(*arguments, **options)

        return counted

    monkeypatch.setattr(loader, "_make_training_batch", count("batches", loader._make_training_batch))
    monkeypatch.setattr(pillar_encoder, "voxelize", count("voxels", pillar_encoder.voxelize))
    together, errors = train_together(
        tmp_path, arms, change=lambda name, recipe: replace(recipe, assign=count("targets", recipe.assign))
    )
    assert errors == (None, None, None)
    evaluated = 3 * 2 * 2  # runs, evaluations, batches of four of five frames
    assert counts == {"batches": 9, "voxels": 9 + evaluated, "targets": 9}
    for name, run in together.items():
        assert_same_results(run, alone[name])


@pytest.mark.parametrize("step", [5, 8])
def test_stopped_and_resumed_in_other_company_each_is_what_it_would_be_alone(
    tmp_path: Path, arms: dict[str, Config], alone: dict[str, Run], monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """One goes on alone for a while, a second one begins anew: those that are behind catch up."""
    with monkeypatch.context() as patch:
        stop_before(patch, step, KeyboardInterrupt)
        with pytest.raises(KeyboardInterrupt):
            train_together(tmp_path, {name: arms[name] for name in ("focal", "eps2")})
    with monkeypatch.context() as patch:
        stop_before(patch, step + 1, KeyboardInterrupt)
        with pytest.raises(KeyboardInterrupt):
            run_in(tmp_path / "focal", arms["focal"])
    together, errors = train_together(tmp_path, arms)
    assert errors == (None, None, None)
    for name, run in together.items():
        assert_same_results(run, alone[name])


def test_a_loss_that_is_not_finite_ends_its_own_run_alone(
    tmp_path: Path, arms: dict[str, Config], alone: dict[str, Run]
) -> None:
    def spoil(name: str, recipe: Recipe) -> Recipe:
        def criterion(maps: Any, targets: Any, *, progress: float) -> Losses:
            losses = recipe.criterion(maps, targets, progress=progress)
            return Losses({part: loss * float("nan") for part, loss in losses.parts.items()})

        return replace(recipe, criterion=criterion) if name == "eps2" else recipe

    together, errors = train_together(tmp_path, arms, change=spoil)
    assert [error is None for error in errors] == [True, False, True]
    assert "step 1: loss = nan" in str(errors[1])
    assert together["eps2"].list_checkpoints() == []
    for name in ("focal", "matched"):
        assert_same_results(together[name], alone[name])


def test_only_losses_and_the_optimisation_may_differ(tiny) -> None:
    plain = tiny()
    shared = describe_shared_settings(plain)
    assert describe_shared_settings(change_loss(tiny(learning_rate=1.0), epsilon=1.0, weight=3.0)) == shared
    for other in (
        tiny(seed=1),
        tiny(batch_size=1),
        tiny(epochs=2),
        plain.model_copy(update={"augment": plain.augment.model_copy(update={"rotation_rad": 0.5})}),
        plain.model_copy(update={"targets": plain.targets.model_copy(update={"min_radius": 3})}),
        plain.model_copy(update={"data": plain.data.model_copy(update={"train_every": 2})}),
    ):
        assert describe_shared_settings(other) != shared


def test_a_result_is_kept_for_the_very_same_inputs_alone() -> None:
    shared, made = SharedInputs(), []

    def compute() -> int:
        made.append(1)
        return len(made)

    first, equal = torch.zeros(2), torch.zeros(2)
    assert [shared.compute_once("sum", (each,), compute) for each in (first, first, equal, first)] == [1, 1, 2, 3]
    assert shared.compute_once("product", (first,), compute) == 4
    assert shared.compute_once("sum", (first,), compute) == 3
