"""Questions of a sweep's file, settings per seed, and successive halving down to two arms on fresh seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from pcdet_poly.commands.studies import sweep as command
from pcdet_poly.errors import UserError
from pcdet_poly.experiments.report.read_sweep import read_finished_sweep
from pcdet_poly.experiments.sweep.folder import SweepFolder, read_description
from pcdet_poly.experiments.sweep.halving import build_final, build_round, choose_survivors, has_polynomial
from pcdet_poly.experiments.sweep.schema import Arm, Sweep, list_trials, read_sweep
from pcdet_poly.experiments.sweep.trial_group import train_group
from tests.experiments.conftest import SWEEP, train_here

CONFIGS = Path(__file__).resolve().parents[3] / "configs" / "sweeps"
HALVING = {"steps": [2, 3], "keep": 0.5, "final_steps": 4, "final_seeds": [5, 6, 7]}


def plan(**changes: Any) -> Sweep:
    return Sweep.model_validate(SWEEP | changes)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"contrasts": [{"name": "a", "weights": {"drop1": 1, "focal": -0.5}}]}, "must add up to 0"),
        ({"contrasts": [{"name": "a", "weights": {"drop2": 1, "focal": -1}}]}, "no arm is called 'drop2'"),
        ({"contrasts": [{"name": "a", "weights": {"drop1": 1, "focal": -1}}] * 2}, "two are called 'a'"),
        ({"per_seed": {"data.train": [["a"]]}}, "data.train has 1 values for 2 seeds"),
        ({"per_seed": {"data.val": [["a"], ["b"]]}}, "data.val must be the same"),
        ({"halving": HALVING | {"final_seeds": [1, 5, 6]}}, "seed 1 chooses arms and compares them"),
        ({"halving": HALVING | {"final_seeds": [5, 6]}}, "at least 3"),
        ({"main": {"metric": "map"}}, "'ap' or 'aph'"),
    ],
)
def test_mistakes_in_questions_are_told(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        plan(**changes)


def test_every_seed_can_have_its_own_training_data(sweep_file: Path) -> None:
    sweep = plan(per_seed={"data.train_every": [2, 3]})
    trials = list_trials(sweep, sweep_file.parent)
    assert [(trial.seed, trial.config.data.train_every) for trial in trials] == [(0, 2)] * 3 + [(1, 3)] * 3


def test_questions_are_written_down(finished_sweep: Path) -> None:
    assert read_description(SweepFolder(finished_sweep)).questions.main.box_type == "BEV"
    assert read_finished_sweep(SweepFolder(finished_sweep)).detectors[0].questions.trend is None


def test_the_best_of_each_kind_survive() -> None:
    arms = [Arm(name=f"e{e}w{w}", overrides={"classification.epsilon": e, "classification.weight": w})
            for e in (0, 1) for w in (1, 2, 3, 4)]  # fmt: skip
    scores = {arm.name: number for number, arm in enumerate(arms)}
    del scores["e1w4"]
    assert [arm.name for arm in choose_survivors(arms, scores, 0.5)] == ["e0w4", "e0w3", "e1w3", "e1w2"]
    assert [has_polynomial(arm) for arm in arms] == [False] * 4 + [True] * 4
    assert not has_polynomial(Arm(name="a", overrides={"train.epochs": 3}))


def test_a_round_and_the_final_comparison() -> None:
    sweep = plan(halving=HALVING, overrides={"train.epochs": 9})
    first = build_round(sweep, sweep.all_arms, 2, sweep.seeds)
    assert first.overrides == {"train.epochs": 9, "train.steps": 2}
    assert [arm.name for arm in first.all_arms] == ["focal", "drop1", "epsilon1"]
    assert first.halving is None
    final = build_final(sweep, [sweep.all_arms[i] for i in (1, 0, 2)])
    assert (final.baseline, final.seeds) == ("drop1", (5, 6, 7))
    assert final.contrasts[0].weights == {"epsilon1": 1, "drop1": -1}
    with pytest.raises(UserError, match="with and without a polynomial"):
        build_final(sweep, sweep.all_arms[:2])
    with pytest.raises(UserError, match="no arm has finished"):
        build_round(sweep, [], 2, (0,))


class TrainHere:
    """Runs a group of trials in this process, at once."""

    def __init__(self, folder: SweepFolder) -> None:
        self.folder, self.ended = folder, []

    def has_room(self) -> bool:
        return not self.ended

    def start(self, group: tuple[str, ...]) -> None:
        if len(group) == 1:
            train_here(self.folder, group[0])
        else:
            assert train_group(self.folder, group, num_gpus=0) == 0
        self.ended.append((group, 0))

    def collect_ended(self) -> list[tuple[tuple[str, ...], int]]:
        ended, self.ended = self.ended, []
        return ended

    def stop(self) -> None:
        pass


def test_a_sweep_halves_itself(
    sweep_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    from pcdet_poly.commands.main import call_command
    from pcdet_poly.experiments.sweep import run_trials

    file = sweep_file.parent / "halving.yaml"
    file.write_text(yaml.safe_dump(SWEEP | {"halving": HALVING, "seeds": [0]}))
    monkeypatch.setattr(command, "_start_executor", lambda options, folder, sweep: TrainHere(folder))
    monkeypatch.setattr(run_trials, "_POLL_S", 0.0)
    assert call_command("sweep", [str(file), "--output", str(tmp_path / "out"), "--workers", "1"]) == 0
    assert "round 2: " in capsys.readouterr().out
    rounds = [read_description(SweepFolder(tmp_path / "out" / name)) for name in ("round1", "round2", "final")]
    assert [len(one.trials) for one in rounds] == [3, 2, 6]
    assert rounds[2].questions.contrasts[0].name == "tuned Poly-1 against the tuned plain loss"
    (detector,) = read_finished_sweep(SweepFolder(tmp_path / "out" / "final")).detectors
    assert {config.train.steps for config in detector.configs.values()} == {4}


@pytest.mark.parametrize("name", ["epsilon_x_weight", "matched_epsilon", "poly_epsilon", "real"])
def test_the_studies_that_come_along_are_whole(name: str) -> None:
    path = CONFIGS / f"{name}.yaml"
    sweep = read_sweep(path)
    trials = list_trials(sweep, path.parent)
    assert len(trials) == len(sweep.all_arms) * len(sweep.seeds) * len(sweep.models)


def test_the_recommended_search_has_the_plain_loss_at_every_weight_and_rate() -> None:
    arms = read_sweep(CONFIGS / "epsilon_x_weight.yaml").all_arms
    plain = [arm for arm in arms if not has_polynomial(arm)]
    assert len(arms) == 5 * len(plain) == 60
