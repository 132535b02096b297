"""Trials in one process: which ones, and what each leaves behind."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Literal

import pytest

from pcdet_poly.commands.main import call_command
from pcdet_poly.experiments.sweep.folder import SweepFolder, prepare_folder
from pcdet_poly.experiments.sweep.groups import choose_largest_group, group_trials
from pcdet_poly.experiments.sweep.schema import Sweep, list_trials, read_sweep
from tests.experiments.conftest import SWEEP


@pytest.mark.parametrize(
    ("lockstep", "num_trials", "workers", "gpus", "largest"),
    [
        ("auto", 45, 2, 0, 22),
        ("auto", 45, 32, 0.25, 1),
        ("auto", 3, 4, 0, 1),
        ("auto", 45, None, 0, 1),  # on a cluster
        ("auto", 45, 2, 2, 1),  # each trial is several processes
        (True, 45, 32, 1, 45),
        (True, 45, None, 0, 45),
        (True, 0, 2, 0, 1),
        (False, 45, 1, 0, 1),
    ],
)
def test_lockstep_leaves_no_worker_without_work(
    lockstep: Literal["auto"] | bool, num_trials: int, workers: int | None, gpus: float, largest: int
) -> None:
    assert choose_largest_group(lockstep, num_trials=num_trials, workers=workers, gpus=gpus) == largest


def test_arms_of_one_seed_are_together_unless_they_read_other_batches(sweep_file: Path) -> None:
    arms = [*SWEEP["arms"], {"name": "turned", "overrides": {"augment.rotation_rad": 0.1}}]
    trials = list_trials(Sweep.model_validate(SWEEP | {"arms": arms}), sweep_file.parent)
    names = {arm: [f"tiny_{arm}_seed{seed}" for seed in (0, 1)] for arm in ("focal", "drop1", "turned", "epsilon1")}
    whole = [(names["focal"][i], names["drop1"][i], names["epsilon1"][i]) for i in (0, 1)]
    turned = [(name,) for name in names["turned"]]
    assert group_trials(trials, 9) == [whole[0], turned[0], whole[1], turned[1]]
    halves = [part for group in whole for part in (group[:1], group[1:])]
    assert group_trials(trials, 2) == [*halves[:2], turned[0], *halves[2:], turned[1]]
    assert group_trials(trials, 1) == [(trial.name,) for trial in trials]


def test_a_group_leaves_what_its_trials_leave_alone(finished_sweep: Path, sweep_file: Path, tmp_path: Path) -> None:
    """And one that cannot begin, here because its folder is of another training, ends alone, the reason in its log."""
    folder, alone = SweepFolder(tmp_path / "study"), SweepFolder(finished_sweep)
    sweep = read_sweep(sweep_file)
    trials = list_trials(sweep, sweep_file.parent)[:3]
    prepare_folder(folder, sweep, trials)
    names = [trial.name for trial in trials]
    spoilt = names[1]
    shutil.copytree(alone.run_path(spoilt), folder.run_path(spoilt))
    config = folder.run_path(spoilt) / "config.yaml"
    config.write_text(config.read_text().replace("batch_size: 2", "batch_size: 1"))
    assert call_command("trial", [str(folder.path), *names]) == 1
    assert [folder.read_end(name).status for name in names] == ["done", "failed", "done"]
    assert "train.batch_size = 1, now train.batch_size = 2" in folder.read_end(spoilt).reason
    for name in (names[0], names[2]):
        for file in ("log.jsonl", "config.yaml", "pairing.json", "metrics.json"):
            ours, theirs = folder.run_path(name) / file, alone.run_path(name) / file
            assert ours.read_text() == theirs.read_text(), file
