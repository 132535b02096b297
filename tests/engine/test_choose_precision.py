"""`train.mixed_precision: auto`: what is chosen, said, kept, and that it changes nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pcdet_poly.config.load import load_config
from pcdet_poly.config.sections.train import Arithmetic
from pcdet_poly.engine import choose_precision as chooser
from pcdet_poly.engine.choose_precision import MIN_STEPS, WARM_UP, measure_in_turns
from pcdet_poly.errors import UserError
from tests.engine.test_train import assert_same_results, run_in


@pytest.mark.parametrize("step_s", [0.01, 0.7])
def test_steps_take_turns_for_about_a_second_and_the_least_time_counts(step_s: float) -> None:
    now_s, taken = [0.0], list[Arithmetic]()

    def take(kind: Arithmetic, seconds: float) -> None:
        taken.append(kind)
        now_s[0] += seconds * (3 if len(taken) % 5 == 0 else 1)  # something else runs now and then

    steps = {False: lambda: take(False, step_s), "bf16": lambda: take("bf16", 2 * step_s)}
    found = measure_in_turns(steps, clock=lambda: now_s[0])
    assert found == pytest.approx({False: step_s, "bf16": 2 * step_s})
    counted = taken[2 * WARM_UP :]
    assert counted == [False, "bf16"] * (len(counted) // 2)
    spent_s = sum({False: 1, "bf16": 2}[kind] for kind in counted) * step_s
    assert len(counted) // 2 == MIN_STEPS if step_s > 0.1 else 0.3 < spent_s <= 1.1  # three turns, or a second


@pytest.mark.parametrize(("slow", "chosen"), [("bf16", False), (False, "bf16")])
def test_the_faster_one_is_chosen_said_kept_and_trains_as_if_it_had_been_written(
    tmp_path: Path,
    tiny,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    slow: Arithmetic,
    chosen: Arithmetic,
) -> None:
    monkeypatch.setattr(chooser, "measure_in_turns", lambda steps: {kind: 1.0 + (kind == slow) for kind in steps})
    options = {"epochs": 2, "evaluate_every": 0}
    run = run_in(tmp_path / "auto", tiny(mixed_precision="auto", **options))
    name, other = ("bf16", "float32") if chosen else ("float32", "bf16")
    said = [line for line in capsys.readouterr().err.splitlines() if "auto" in line]
    assert len(said) == 1
    assert said[0].startswith(f"train.mixed_precision = auto: {name} (a step takes: ")
    assert f"{name} 1000.0 ms" in said[0]
    assert f"{other} 2000.0 ms" in said[0]
    assert load_config(run.folder / "config.yaml").train.mixed_precision == chosen
    monkeypatch.setattr(chooser, "measure_in_turns", None)  # nothing is measured again
    run_in(tmp_path / "auto", tiny(mixed_precision="auto", **options))
    written = run_in(tmp_path / "written", tiny(mixed_precision=chosen, **options))
    last = [torch.load(each.find_checkpoint("last"), weights_only=True)["model"] for each in (run, written)]
    assert all(torch.equal(last[0][key], last[1][key]) for key in last[0])
    assert run.read_log() == written.read_log()


def test_what_torch_cannot_do_is_not_measured(tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    def check(device: torch.device, kind: Arithmetic) -> None:
        if kind == "bf16":
            raise UserError("no such kernel")

    monkeypatch.setattr(chooser, "check_precision", check)
    monkeypatch.setattr(chooser, "measure_in_turns", None)
    assert chooser.choose_precision(tiny(), None, torch.device("cpu")) is False


def test_a_real_step_is_measured_and_the_weights_are_those_of_the_seed(tmp_path: Path, tiny) -> None:
    """The measurement's own networks are thrown away: the run equals one that measured nothing."""
    run = run_in(tmp_path / "auto" / "run", tiny(mixed_precision="auto"))
    kind = load_config(run.folder / "config.yaml").train.mixed_precision
    assert kind in (False, "bf16")
    assert_same_results(run, run_in(tmp_path / "written" / "run", tiny(mixed_precision=kind)))
