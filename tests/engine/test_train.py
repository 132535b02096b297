"""The training loop: what a run leaves behind, stopping and going on, NaN."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from pcdet_poly.config.schema import Config
from pcdet_poly.engine import train as loop
from pcdet_poly.engine.checkpoint import load_checkpoint
from pcdet_poly.engine.frames import training_frames, validation_frames
from pcdet_poly.engine.run import Run
from pcdet_poly.engine.start import start
from pcdet_poly.errors import UserError
from pcdet_poly.models import Recipe
from pcdet_poly.structures import Losses

CPU = torch.device("cpu")
LAST_STEP = 9  # three epochs of three steps


def run_in(folder: Path, config: Config, *, change: Callable[[Recipe], Recipe] = lambda recipe: recipe) -> Run:
    """What train.py does."""
    frames = training_frames(config)
    run, recipe = start(config, frames, folder, CPU, resume=True)
    loop.train(run, change(recipe), frames, validation_frames(config))
    return run


def stop_before(monkeypatch: pytest.MonkeyPatch, step: int, error: type[BaseException]) -> None:
    """Raise `error` when the loop asks for the batch of that step (counted from 1), once."""
    real = loop._batches_from
    stopped: list[bool] = []

    def batches(first: int, *arguments: Any) -> Iterator[Any]:
        for number, batch in enumerate(real(first, *arguments), start=first + 1):
            if number == step and not stopped:
                stopped.append(True)
                raise error
            yield batch

    monkeypatch.setattr(loop, "_batches_from", batches)


def assert_equal(one: Any, other: Any, place: str = "") -> None:
    """Equal bit for bit, tensors included, at any depth."""
    if isinstance(one, torch.Tensor):
        assert one.dtype == other.dtype, place
        assert torch.equal(one, other), place
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), place
        for name in one:
            assert_equal(one[name], other[name], f"{place}.{name}")
    elif isinstance(one, list):
        assert len(one) == len(other), place
        for index, (first, second) in enumerate(zip(one, other, strict=True)):
            assert_equal(first, second, f"{place}[{index}]")
    else:
        assert one == other, place


def assert_same_results(one: Run, other: Run) -> None:
    """Same weights, optimiser, log, metrics and best checkpoint."""
    for path in ("checkpoints/step_00000009.pt", "checkpoints/best.pt"):
        first, second = (torch.load(run.folder / path, weights_only=True) for run in (one, other))
        assert_equal(first, second)
    assert (one.folder / "log.jsonl").read_text() == (other.folder / "log.jsonl").read_text()
    first, second = (json.loads((run.folder / "metrics.json").read_text()) for run in (one, other))
    assert first | {"meta": first["meta"] | {"run": second["meta"]["run"]}} == second


@dataclass(frozen=True)
class Whole:
    """A run that nothing stopped."""

    run: Run
    state_of_torch: torch.Tensor  # its generator at the end


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, tiny) -> Whole:
    return Whole(run_in(tmp_path_factory.mktemp("whole") / "a", tiny()), torch.get_rng_state())


def test_a_run_leaves_everything_in_its_folder(whole: Whole) -> None:
    run = whole.run
    names = {path.name for path in run.folder.iterdir()}
    assert names == {
        *("config.yaml", "environment.json", "log.jsonl", "tensorboard", "checkpoints"),
        *("metrics.json", "detections.parquet"),
    }
    assert [path.name for path in run.newest_checkpoints()] == ["step_00000009.pt", "step_00000006.pt"]
    assert list((run.folder / "tensorboard").iterdir())
    metrics = json.loads((run.folder / "metrics.json").read_text())
    assert {"ap", "aph"} <= metrics["3D"]["OBJECT_TYPE_TYPE_VEHICLE_LEVEL_1"].keys()
    assert metrics["BEV"].keys() == metrics["3D"].keys()
    assert (metrics["meta"]["step"], metrics["meta"]["frames"]) == (LAST_STEP, 5)


def test_the_log_has_a_line_every_n_steps_and_every_evaluation(whole: Whole) -> None:
    lines = whole.run.read_log()
    assert [(line["event"], line["step"]) for line in lines] == [
        *(("step", 2), ("step", 4), ("step", 6), ("evaluation", 6)),
        *(("step", 8), ("step", 9), ("evaluation", 9)),
    ]
    first = lines[0]
    assert first["loss"] == pytest.approx(first["loss/heatmap"] + first["loss/box"], rel=1e-6)
    assert first.keys() >= {"gradient_norm", "learning_rate", "beta1", "p_t/peaks", "first_term_share/all"}
    assert lines[-1].keys() >= {"score", "3D/VEHICLE_LEVEL_1/ap", "BEV/PEDESTRIAN_LEVEL_2/aph"}


def test_training_lowers_the_loss(tmp_path: Path, tiny) -> None:
    lines = run_in(tmp_path / "a", tiny(epochs=12, evaluate_every=0, learning_rate=0.02)).read_log()
    losses = [line["loss"] for line in lines if line["event"] == "step"]
    assert sum(losses[-4:]) < 0.6 * sum(losses[:4])


def test_one_seed_gives_one_log_and_another_seed_another(tmp_path: Path, tiny, whole: Whole) -> None:
    assert_same_results(run_in(tmp_path / "b", tiny()), whole.run)
    other = run_in(tmp_path / "c", tiny(seed=1))
    assert (other.folder / "log.jsonl").read_text() != (whole.run.folder / "log.jsonl").read_text()


@pytest.mark.parametrize("step", [1, 2, 5, 6, 9])
def test_a_stopped_and_resumed_run_equals_one_that_was_not(
    tmp_path: Path, tiny, whole: Whole, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    stop_before(monkeypatch, step, KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        run_in(tmp_path / "parts", tiny())
    saved = load_checkpoint(Run(tmp_path / "parts", tiny(), CPU).find_checkpoint("last"))
    assert saved.step == step - 1
    torch.rand(step)  # whatever happened to the generator in between
    assert_same_results(run_in(tmp_path / "parts", tiny()), whole.run)
    assert torch.equal(torch.get_rng_state(), whole.state_of_torch)


def test_a_crashed_run_goes_on_from_its_last_checkpoint(
    tmp_path: Path, tiny, whole: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_before(monkeypatch, 9, MemoryError)
    with pytest.raises(MemoryError):
        run_in(tmp_path / "parts", tiny())
    log = Run(tmp_path / "parts", tiny(), CPU).read_log()
    assert log[-1]["step"] == 8, "lines after the checkpoint of step 6, to be dropped and written again"
    assert_same_results(run_in(tmp_path / "parts", tiny()), whole.run)


def test_a_run_stopped_in_an_evaluation_makes_up_for_it(
    tmp_path: Path, tiny, whole: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = loop.evaluate_run, []

    def evaluate_run(*arguments: Any, **options: Any) -> Any:
        calls.append(options["step"])
        if len(calls) == 1:
            raise KeyboardInterrupt
        return real(*arguments, **options)

    monkeypatch.setattr(loop, "evaluate_run", evaluate_run)
    with pytest.raises(KeyboardInterrupt):
        run_in(tmp_path / "parts", tiny())
    assert_same_results(run_in(tmp_path / "parts", tiny()), whole.run)
    assert calls == [6, 6, 9]


def test_resuming_a_finished_run_changes_nothing(tiny, whole: Whole) -> None:
    folder = whole.run.folder
    before = {path: path.read_bytes() for path in folder.rglob("*.*") if path.suffix in (".pt", ".jsonl")}
    assert len(before) == 4
    run_in(folder, tiny())
    assert before == {path: path.read_bytes() for path in before}


def test_resuming_with_other_data_is_refused(tiny, whole: Whole, store: Path) -> None:
    config = tiny()
    doubled = config.model_copy(update={"data": config.data.model_copy(update={"train": (str(store), str(store))})})
    with pytest.raises(UserError, match=r"an epoch had 3 steps, with this data it has 5; resume with the same data"):
        run_in(whole.run.folder, doubled)


class Spoiled:
    """A criterion that gives NaN at one step."""

    def __init__(self, criterion: Any, step: int) -> None:
        self.criterion, self.step, self.calls = criterion, step, 0

    def __call__(self, *arguments: Any, **options: Any) -> Losses:
        losses = self.criterion(*arguments, **options)
        self.calls += 1
        bad = math.nan if self.calls == self.step else 1.0
        return Losses(losses.parts | {"box": losses.parts["box"] * bad})


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_frames(tmp_path: Path, tiny, whole: Whole) -> None:
    def spoil(recipe: Recipe) -> Recipe:
        return replace(recipe, criterion=Spoiled(recipe.criterion, step=5))

    with pytest.raises(UserError, match=r"^step 5: loss = nan, loss/heatmap = [\d.]+, loss/box = nan") as error:
        run_in(tmp_path / "a", tiny(), change=spoil)
    assert str(error.value).count("tiny/") == 2, "both frames of the batch"
    run = Run(tmp_path / "a", tiny(), CPU)
    assert [path.name for path in run.newest_checkpoints()] == ["step_00000003.pt"]
    assert all(torch.isfinite(tensor).all() for tensor in load_checkpoint(run.checkpoint_at(3)).model.values())
    assert_same_results(run_in(tmp_path / "a", tiny()), whole.run)


def test_the_criterion_gets_float32_and_the_share_of_the_training_done(tmp_path: Path, tiny) -> None:
    seen = []

    class Watched(Spoiled):
        def __call__(self, *arguments: Any, **options: Any) -> Losses:
            losses = super().__call__(*arguments, **options)
            seen.append((options["progress"], losses.total.dtype, torch.is_autocast_enabled("cpu")))
            return losses

    def watch(recipe: Recipe) -> Recipe:
        return replace(recipe, criterion=Watched(recipe.criterion, step=0))

    run_in(tmp_path / "a", tiny(mixed_precision="bf16"), change=watch)
    assert [share for share, _, _ in seen] == pytest.approx([step / 9 for step in range(9)])
    assert {(dtype, autocast) for _, dtype, autocast in seen} == {(torch.float32, False)}


def test_without_validation_frames_a_run_warns_and_trains(tmp_path: Path, tiny, capsys: pytest.CaptureFixture) -> None:
    config = tiny()
    config = config.model_copy(update={"data": config.data.model_copy(update={"val": ()})})
    run = run_in(tmp_path / "a", config)
    assert "warning: data.val: no store given" in capsys.readouterr().err
    assert run.find_checkpoint("last") == run.checkpoint_at(9)
    assert not (run.folder / "metrics.json").exists()
