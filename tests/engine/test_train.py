"""The training loop: what a run leaves behind, stopping and going on, NaN."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pcdet_poly.config.schema import Config
from pcdet_poly.data.load.dataset import FrameDataset
from pcdet_poly.data.load.loader import load_evaluation_batches
from pcdet_poly.engine import train as loop
from pcdet_poly.engine.checkpoint import load_checkpoint, load_model
from pcdet_poly.engine.evaluate import detect
from pcdet_poly.engine.frames import open_training_frames, open_validation_frames
from pcdet_poly.engine.run import Run
from pcdet_poly.engine.start import prepare_run
from pcdet_poly.engine.state import build_seeded_recipe
from pcdet_poly.errors import UserError
from pcdet_poly.evaluation import read_detections
from pcdet_poly.files import read_checked_json
from pcdet_poly.models import Recipe
from pcdet_poly.models.layers.pillar_layer import PillarLayer
from pcdet_poly.structures import Losses
from tests.tolerances import FLOAT32_SUM, FLOAT32_VALUE

CPU = torch.device("cpu")
LAST_STEP = 9  # three epochs of three steps


def run_in(folder: Path, config: Config, *, change: Callable[[Recipe], Recipe] = lambda recipe: recipe) -> Run:
    """What train.py does."""
    frames = open_training_frames(config)
    run, recipe = prepare_run(config, frames, folder, CPU, resume=True)
    loop.train(run, change(recipe), frames, open_validation_frames(config))
    return run


def stop_before(monkeypatch: pytest.MonkeyPatch, step: int, error: type[BaseException]) -> None:
    """Raise `error` when the loop asks for the batch of that step (counted from 1), once."""
    real = loop._iterate_batches
    stopped: list[bool] = []

    def batches(first: int, *arguments: Any) -> Iterator[Any]:
        for number, batch in enumerate(real(first, *arguments), start=first + 1):
            if number == step and not stopped:
                stopped.append(True)
                raise error
            yield batch

    monkeypatch.setattr(loop, "_iterate_batches", batches)


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
    first, second = (read_checked_json(run.folder / "metrics.json") for run in (one, other))
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
    assert [path.name for path in run.list_checkpoints()] == ["step_00000009.pt", "step_00000006.pt"]
    assert list((run.folder / "tensorboard").iterdir())
    metrics = read_checked_json(run.folder / "metrics.json")
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
    assert first["loss"] == pytest.approx(first["loss/heatmap"] + first["loss/box"], rel=FLOAT32_VALUE)
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


def test_a_damaged_newest_checkpoint_is_named_and_the_one_before_is_taken(
    tmp_path: Path, tiny, whole: Whole, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "parts"
    shutil.copytree(whole.run.folder, folder)
    newest, older = Run(folder, tiny(), CPU).list_checkpoints()[:2]
    damaged = bytearray(newest.read_bytes())
    damaged[len(damaged) // 4 : len(damaged) // 2] = bytes(len(damaged) // 2 - len(damaged) // 4)
    newest.write_bytes(damaged)
    assert_same_results(run_in(folder, tiny()), whole.run)
    assert f"{newest}: damaged" in capsys.readouterr().err
    older.write_bytes(b"")
    newest.write_bytes(damaged)
    with pytest.raises(UserError, match=f"{older.name}: not a checkpoint, or a damaged one"):
        run_in(folder, tiny())


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
    assert [path.name for path in run.list_checkpoints()] == ["step_00000003.pt"]
    assert all(torch.isfinite(tensor).all() for tensor in load_checkpoint(run.checkpoint_path(3)).model.values())
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
    assert run.find_checkpoint("last") == run.checkpoint_path(9)
    assert not (run.folder / "metrics.json").exists()


EVERYTHING = {
    "mixed_precision": "fp16",
    "ema": 0.9,
    "batch_size": 1,
    "accumulate": 2,
    "schedule": "cosine",
    "warmup": 2,
    "steps": 7,
    "checkpoint_activations": True,
}


def test_with_every_option_a_stopped_and_resumed_run_equals_one_that_was_not(
    tmp_path: Path, tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = run_in(tmp_path / "whole", tiny(**EVERYTHING))
    stop_before(monkeypatch, 5, KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        run_in(tmp_path / "parts", tiny(**EVERYTHING))
    other = run_in(tmp_path / "parts", tiny(**EVERYTHING))
    for name in ("step_00000007.pt", "best.pt"):
        first, second = (torch.load(run.checkpoints / name, weights_only=True) for run in (one, other))
        assert_equal(first, second)
    assert (one.folder / "log.jsonl").read_text() == (other.folder / "log.jsonl").read_text()
    assert first["scaler"]["scale"] > 1
    assert "skipped_steps" in one.read_log()[0]


def test_the_average_is_saved_evaluated_and_used_by_default(tmp_path: Path, tiny) -> None:
    config = tiny(ema=0.99, epochs=2, evaluate_every=0)
    run = run_in(tmp_path / "a", config)
    path = run.find_checkpoint("last")
    checkpoint, frames = load_checkpoint(path), open_training_frames(config)
    tables = {}
    for weights in ("raw", "ema", None):
        recipe = build_seeded_recipe(config, CPU)
        load_model(recipe.model, checkpoint, path, config, weights=weights)
        tables[weights] = detections_of(recipe, config, frames)
    assert tables[None] == tables["ema"] != tables["raw"]
    saved = read_detections(run.folder / "detections.parquet").detections
    assert sum(float(rows.score.sum()) for rows in saved) == pytest.approx(tables["ema"], rel=FLOAT32_SUM)


def detections_of(recipe: Recipe, config: Config, frames: FrameDataset) -> float:
    """Sum of all scores."""
    batches = load_evaluation_batches(config, frames)
    found = [rows for batch in batches for rows in detect(recipe, batch, CPU, mixed_precision=False)]
    return sum(float(rows.score.sum()) for rows in found)


def without_norms(recipe: Recipe) -> Recipe:
    """With batch norms that never look at a batch."""
    for module in recipe.model.modules():
        if isinstance(module, (nn.modules.batchnorm._BatchNorm, PillarLayer)):
            module.eval()
            module.train = lambda mode=True, module=module: module
    return recipe


@pytest.mark.parametrize("normalizer", ["objects", "peaks"])
def test_accumulated_gradients_are_those_of_a_larger_batch(tmp_path: Path, tiny, normalizer: str) -> None:
    logs = []
    for name, sizes in {"small": {"batch_size": 1, "accumulate": 2}, "large": {"batch_size": 2}}.items():
        config = tiny(**sizes, log_every=1, evaluate_every=0, checkpoint_activations=name == "small")
        config = config.model_copy(
            update={"classification": config.classification.model_copy(update={"normalizer": normalizer})}
        )
        logs.append(run_in(tmp_path / name, config, change=without_norms).read_log())
    for small, large in zip(*logs, strict=True):
        for key in ("loss", "loss/heatmap", "loss/box", "gradient_norm"):
            # Two batches after another or at once: float32 sums in another order, through all layers (NETWORK).
            assert small.get(key) == pytest.approx(large.get(key), rel=1e-4), (small["step"], key)


class Loud(Spoiled):
    """A criterion whose gradients overflow under the first loss scales of fp16, or at any."""

    def __call__(self, *arguments: Any, **options: Any) -> Losses:
        losses = self.criterion(*arguments, **options)
        self.calls += 1
        factor = math.nan if self.step == 0 else self.step
        return Losses({name: loss * factor for name, loss in losses.parts.items()})


def test_steps_that_the_loss_scale_skips_are_counted_and_do_not_end_the_run(tmp_path: Path, tiny) -> None:
    config = tiny(mixed_precision="fp16", log_every=9)
    run = run_in(tmp_path / "a", config, change=lambda recipe: replace(recipe, criterion=Loud(recipe.criterion, 10)))
    (line,) = (line for line in run.read_log() if line["event"] == "step")
    assert 1 <= line["skipped_steps"] < 9
    assert math.isfinite(line["loss"])
    checkpoint = load_checkpoint(run.find_checkpoint("last"))
    assert checkpoint.scaler["scale"] == 65536 / 2 ** line["skipped_steps"]
    assert all(torch.isfinite(tensor).all() for tensor in checkpoint.model.values())


def test_a_loss_that_is_never_finite_ends_a_run_in_fp16_too(tmp_path: Path, tiny) -> None:
    config = tiny(mixed_precision="fp16", epochs=10)
    with pytest.raises(UserError, match=r"^step 17: the loss scale fell to 0\.5"):
        run_in(tmp_path / "a", config, change=lambda recipe: replace(recipe, criterion=Loud(recipe.criterion, 0)))


def test_recomputed_activations_change_no_bit_of_a_run(tmp_path: Path, tiny, whole: Whole) -> None:
    """Activations are computed a second time once only, so gradients in the trunk are not logged there."""
    run = run_in(tmp_path / "a", tiny(checkpoint_activations=True))
    everything = list(whole.run.read_log())
    assert any("gradient/trunk/ratio" in line for line in everything)
    kept = [{k: v for k, v in line.items() if not k.startswith("gradient/trunk/")} for line in everything]
    assert list(run.read_log()) == kept


def test_a_run_starts_from_the_weights_of_another(tmp_path: Path, tiny, whole: Whole) -> None:
    config = tiny(initial_weights=str(whole.run.folder), seed=3, epochs=1, evaluate_every=0)
    run, recipe = prepare_run(config, open_training_frames(config), tmp_path / "a", CPU, resume=False)
    trained = load_checkpoint(whole.run.find_checkpoint("last")).model
    assert all(torch.equal(recipe.model.state_dict()[name], tensor) for name, tensor in trained.items())
    loop.train(run, recipe, open_training_frames(config), None)
    again = run_in(tmp_path / "a", config)  # resumes: wins over the other run's weights
    assert again.find_checkpoint("last") == run.checkpoint_path(3)


@pytest.mark.parametrize(
    ("train", "evaluation", "says"),
    [
        ({"initial_weights": "nowhere.pt"}, {}, r"nowhere\.pt: no such checkpoint"),
        ({"warmup": 9}, {}, r"train\.warmup = 9: all of the 9 steps"),
        ({}, {"best_by": "3D/ap"}, r"evaluation\.best_by = 3D/ap"),
    ],
)
def test_what_is_refused_leaves_no_folder(tmp_path: Path, tiny, train: dict, evaluation: dict, says: str) -> None:
    config = tiny(**train)
    config = config.model_copy(update={"evaluation": config.evaluation.model_copy(update=evaluation)})
    with pytest.raises(UserError, match=says):
        run_in(tmp_path / "a", config)
    assert not (tmp_path / "a").exists()


def test_the_best_checkpoint_is_chosen_by_the_metric_that_is_named(tmp_path: Path, tiny) -> None:
    config, name = tiny(), "BEV/OBJECT_TYPE_TYPE_VEHICLE_LEVEL_1/ap"
    config = config.model_copy(update={"evaluation": config.evaluation.model_copy(update={"best_by": name})})
    lines = [line for line in run_in(tmp_path / "a", config).read_log() if line["event"] == "evaluation"]
    assert [line["score"] for line in lines] == [line["BEV/VEHICLE_LEVEL_1/ap"] for line in lines]


@pytest.mark.slow
def test_compiled_with_every_option(tmp_path: Path, tiny) -> None:
    options = EVERYTHING | {"mixed_precision": "bf16", "steps": 3, "warmup": 1, "evaluate_every": 0}
    logs = [run_in(tmp_path / str(on), tiny(**options, compile=on, log_every=1)).read_log() for on in (False, True)]
    for plain, compiled in zip(*logs, strict=True):
        assert compiled.get("loss") == pytest.approx(plain.get("loss"), rel=0.02)
