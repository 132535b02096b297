"""`train.mixed_precision: auto` in a sweep: measured once, kept for all trials and later starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from pcdet_poly.engine import choose_precision as chooser
from pcdet_poly.experiments.sweep.folder import SweepFolder, prepare_folder
from pcdet_poly.experiments.sweep.precision import fix_precisions
from pcdet_poly.experiments.sweep.schema import list_trials, read_sweep


def test_all_trials_get_what_was_measured_once(
    sweep_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep, folder, measured = read_sweep(sweep_file), SweepFolder(tmp_path), []

    def choose(config, frames, device) -> str:
        measured.append(device.type)
        return "bf16"

    monkeypatch.setattr(chooser, "choose_precision", choose)
    plain = list_trials(sweep, sweep_file.parent)
    assert fix_precisions(folder, plain, gpus=0) == plain
    trials = list_trials(sweep, sweep_file.parent, ["train.mixed_precision=auto"])
    fixed = fix_precisions(folder, trials, gpus=0)
    assert {trial.config.train.mixed_precision for trial in fixed} == {"bf16"}
    assert [trial.name for trial in fixed] == [trial.name for trial in trials]
    prepare_folder(folder, sweep, fixed)
    assert fix_precisions(folder, trials, gpus=0) == fixed
    assert measured == ["cpu"]
