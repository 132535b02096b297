"""Two processes against one with batches twice as large."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import frame
from process_groups import start_group
from torch import Tensor
from two_processes import MODELS, config_of, gradients_of_steps, matched_steps, norm_cases, through, train_in

from pcdet_poly.data.store.frame_store import write_store
from pcdet_poly.distributed import (
    broadcast_from_first,
    compute_loss_weights,
    gather_to_first,
    is_set_in_any_process,
    rank,
    sum_over_processes,
)
from pcdet_poly.engine.checkpoint import load_checkpoint, load_model
from pcdet_poly.engine.evaluate import evaluate_run
from pcdet_poly.engine.frames import open_training_frames
from pcdet_poly.engine.run import Run
from pcdet_poly.engine.start import prepare_run
from pcdet_poly.engine.state import build_seeded_recipe
from pcdet_poly.engine.train import train
from pcdet_poly.errors import UserError
from pcdet_poly.evaluation import read_detections
from pcdet_poly.files import read_checked_json
from pcdet_poly.models.layers.sync_norm import synchronize_norms
from tests.tolerances import BFLOAT16_NETWORK, FLOAT32_SUM, NETWORK
from tests.warm_python import WarmPython

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five frames: three as elsewhere, of different length, one without objects, one with nothing at all."""
    frames = [frame(number) for number in range(5)]
    frames[0] = replace(frames[0], points=np.concatenate([frames[0].points, frames[3].points]))
    frames[1] = replace(frames[1], ground_truth=frames[1].ground_truth[:0])
    frames[2] = replace(frames[2], ground_truth=frames[2].ground_truth[:0], points=frames[2].points[:0])
    folder = tmp_path_factory.mktemp("uneven") / "store"
    write_store(folder, frames)
    return folder


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory, uneven: Path, warm_training: WarmPython) -> Path:
    """Folder with what `two_processes.py` leaves."""
    folder = tmp_path_factory.mktemp("two")
    script = str(Path(__file__).with_name("two_processes.py"))
    with start_group(warm_training, [script, str(folder), str(uneven)], folder) as processes:
        for process in processes:
            _, errors = process.communicate()
            assert process.returncode == 0, errors[-3000:]
    return folder


@pytest.fixture(scope="module")
def results(two: Path) -> list[dict[str, Any]]:
    return [torch.load(two / f"process_{number}.pt", weights_only=True) for number in range(2)]


def test_gradients_are_averaged_and_missing_ones_count_as_zero(results: list[dict[str, Any]]) -> None:
    for result in results:
        gradients = result["small"]["gradients"]
        assert gradients["both"].tolist() == [1.5, 3.0]
        assert gradients["one"].tolist() == [2.0, 3.0]
        assert gradients["none"] is None


def test_weights_make_means_over_batches_the_large_batchs_mean(results: list[dict[str, Any]]) -> None:
    # Loss "a" is a mean over 0, 1, 3 and 1 things; 1 stands for 0. Five things in all, in four batches.
    weights = [weight for result in results for weight in result["small"]["weights"]]
    assert [weight["a"].item() for weight in weights] == pytest.approx([4 / 5, 4 / 5, 3 * 4 / 5, 4 / 5])
    assert [weight["b"].item() for weight in weights] == [4, 4, 4, 4]  # sums over no thing are divided by 1, once


def test_words_between_processes(results: list[dict[str, Any]]) -> None:
    assert [result["small"]["anywhere"] for result in results] == [[True, False]] * 2
    assert [result["small"]["from_first"] for result in results] == ["process 0"] * 2
    assert [result["small"]["gathered"] for result in results] == [[10, 11], []]


def test_a_process_alone_talks_to_itself() -> None:
    assert (
        rank(),
        is_set_in_any_process(True),
        is_set_in_any_process(False),
        broadcast_from_first(3),
        gather_to_first(4),
    ) == (0, True, False, 3, [4])
    value = torch.ones(2)
    assert sum_over_processes(value) is value
    assert compute_loss_weights([{"a": torch.tensor(3)}]) == [{}]
    assert compute_loss_weights([{}, {}]) == [{}, {}]
    shared = compute_loss_weights([{"a": torch.tensor(3)}, {"a": torch.tensor(1)}])
    assert [weight["a"].item() for weight in shared] == [1.5, 0.5]


@pytest.mark.parametrize("case", range(4))
def test_synchronised_norm_is_the_norm_of_both_batches(results: list[dict[str, Any]], case: int) -> None:
    norm, values = list(norm_cases())[case]
    wanted = through(norm, torch.cat(values))
    found = [result["norms"][case] for result in results]
    for name in ("output", "values"):
        torch.testing.assert_close(torch.cat([each[name] for each in found]), wanted[name], **NETWORK)
    for name in ("weight", "bias"):
        torch.testing.assert_close(found[0][name] + found[1][name], wanted[name], **NETWORK)
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        for each in found:
            torch.testing.assert_close(each[name], wanted[name], rtol=FLOAT32_SUM, atol=FLOAT32_SUM)


def test_synchronised_norm_takes_half_precision_as_the_norm_does() -> None:
    found = []
    for synchronised in (False, True):
        norm, (values, _) = list(norm_cases())[2]
        if synchronised:
            synchronize_norms(norm)
        with torch.autocast("cpu", torch.bfloat16):
            found.append(through(norm, ((values - 50) / 3).bfloat16()))
    plain, ours = found
    for name, tensor in plain.items():
        assert ours[name].dtype == tensor.dtype, name
        torch.testing.assert_close(ours[name].float(), tensor.float(), **BFLOAT16_NETWORK)


@pytest.mark.parametrize("model", MODELS)
def test_losses_gradients_and_statistics_of_a_step_equal_the_large_batchs(
    results: list[dict[str, Any]], uneven: Path, model: str
) -> None:
    config = config_of(uneven, model, batch_size=2)
    wanted = gradients_of_steps(config, open_training_frames(config))
    assert len(wanted) == len(results[0][model]) == 3
    for step, *ours in zip(wanted, *(result[model] for result in results), strict=True):
        for name, tensor in step.items():
            if "." not in name:  # a loss
                torch.testing.assert_close((ours[0][name] + ours[1][name]) / 2, tensor, **NETWORK)
                continue
            assert torch.equal(ours[0][name], ours[1][name]), name
            # Small gradients are what is left of large ones that cancel: the largest counts.
            torch.testing.assert_close(ours[0][name], tensor, rtol=1e-3, atol=1e-4 * scale_of(step), msg=name)


def test_a_matched_loss_has_one_ratio_in_both_processes_that_of_a_batch_twice_as_large(
    results: list[dict[str, Any]],
) -> None:
    """Sums of at most 384 slopes of one sign, and running means of four of them: see tests/tolerances.py."""
    wanted = matched_steps(slice(0, 2))
    for first, second, large in zip(results[0]["matched"], results[1]["matched"], wanted, strict=True):
        for name, tensor in large.items():
            assert torch.equal(first[name], second[name]), name
            # A ratio of two such sums, each good to FLOAT32_SUM.
            torch.testing.assert_close(first[name], tensor, rtol=1e-4, atol=0)
    own = matched_steps(slice(0, 1))[-1]["weights"]  # of one process's frames alone, which would not pass
    assert ((own - wanted[-1]["weights"]).abs() > 1e-3 * wanted[-1]["weights"]).any()


def scale_of(step: dict[str, Tensor]) -> float:
    return max(1.0, *(tensor.abs().max().item() for name, tensor in step.items() if name.endswith("weight")))


def test_a_training_by_two_processes_is_that_of_one_with_large_batches(two: Path, uneven: Path) -> None:
    config = config_of(uneven, batch_size=2)
    train_in(two / "one", config)
    logs = [Run(two / name, config, CPU).read_log() for name in ("two", "one")]
    assert [(line["event"], line["step"]) for line in logs[0]] == [(line["event"], line["step"]) for line in logs[1]]
    for ours, wanted in zip(*logs, strict=True):
        if ours["event"] == "step":
            for name in ("loss", "loss/heatmap", "loss/box", "learning_rate"):
                # Adam makes whole steps of rounding errors where gradients are next to nothing.
                assert ours[name] == pytest.approx(wanted[name], rel=2e-4 * ours["step"]), (ours["step"], name)
    first = build_seeded_recipe(config, CPU).model.state_dict()
    ours, wanted = (torch.load(two / name / "checkpoints/step_00000009.pt")["model"] for name in ("two", "one"))
    for name, tensor in wanted.items():
        if name.endswith("weight"):
            assert (ours[name] - tensor).abs().mean() < 0.05 * (tensor - first[name]).abs().mean(), name


def test_one_process_writes_a_whole_run_folder_with_all_frames_in_order(two: Path, uneven: Path) -> None:
    folder = two / "two"
    assert len(json.loads((folder / "environment.json").read_text())["starts"]) == 1
    assert [path.name for path in (folder / "tensorboard").iterdir() if "events" in path.name][1:] == []
    assert len(list((folder / "pictures").glob("*.png"))) == 2
    found = read_detections(folder / "detections.parquet")
    assert found.frame_ids == open_training_frames(config_of(uneven)).frame_ids
    assert json.loads((folder / "metrics.json").read_text())["meta"]["frames"] == 5


def test_evaluation_by_two_processes_finds_what_one_finds(two: Path, uneven: Path, tmp_path: Path) -> None:
    config = config_of(uneven, batch_size=1)
    run = Run(two / "two", config, CPU)
    recipe, path = build_seeded_recipe(config, CPU), run.find_checkpoint("last")
    load_model(recipe.model, load_checkpoint(path), path, config)
    evaluate_run(run, recipe, open_training_frames(config), step=9, output=tmp_path)
    ours, wanted = (read_checked_json(folder / "metrics.json") for folder in (two / "two", tmp_path))
    for metrics in (ours, wanted):
        metrics["meta"]["provenance"].pop("commit", None)  # a checkout may change between the two
    assert ours == wanted
    assert {path.name for path in (two / "two/pictures").iterdir()} == {
        path.name for path in (tmp_path / "pictures").iterdir()
    }


def test_all_stop_when_one_is_asked_and_go_on_as_if_nothing_had_happened(
    two: Path, results: list[dict[str, Any]]
) -> None:
    assert [result["stopped"] for result in results] == [True, True]
    assert (two / "parts/log.jsonl").read_text() == (two / "two/log.jsonl").read_text()
    ours, wanted = (
        torch.load(two / name / "checkpoints/step_00000009.pt", weights_only=True) for name in ("parts", "two")
    )
    assert all(torch.equal(ours["model"][name], tensor) for name, tensor in wanted["model"].items())


def test_another_number_of_processes_cannot_resume(two: Path, uneven: Path) -> None:
    config = config_of(uneven, batch_size=1)
    frames = open_training_frames(config)
    run, recipe = prepare_run(config, frames, two / "two", CPU, resume=True)
    with pytest.raises(UserError, match="2 processes trained it, now there are 1; resume with as many"):
        train(run, recipe, frames, frames)


def test_norms_of_each_process_alone_train_too(two: Path) -> None:
    assert (two / "alone/checkpoints/step_00000003.pt").is_file()
