"""An arm with a config of its own: two detectors compared over the same seeds and frames."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pcdet_poly.experiments.report.detector_report import ReportSizes, build_report, describe_report
from pcdet_poly.experiments.report.formats.page_data import describe_arm
from pcdet_poly.experiments.report.read_sweep import read_finished_sweep
from pcdet_poly.experiments.report.write import write_report
from pcdet_poly.experiments.sweep.folder import SweepFolder, prepare_folder
from pcdet_poly.experiments.sweep.groups import group_trials
from pcdet_poly.experiments.sweep.run_trials import list_mismatches
from pcdet_poly.experiments.sweep.schema import Trial, list_trials, read_sweep
from tests.experiments.conftest import MODEL, SWEEP, train_here


@pytest.fixture(scope="module")
def trials(sweep_file: Path) -> list[Trial]:
    """Two arms, one of them a wider network with other channels, augmentation and number of steps."""
    folder = sweep_file.parent
    base = yaml.safe_load((folder / "tiny.yaml").read_text())
    other = base | {
        "data": base["data"] | {"elongation": False},
        "model": base["model"] | {"head_width": 16},
        "augment": {"rotation_rad": 0.1},
        "train": base["train"] | {"epochs": 3},
    }
    (folder / "wide.yaml").write_text(yaml.safe_dump(other))
    arms = [{"name": "focal"}, {"name": "wide", "config": "wide.yaml", "overrides": {"model.head_width": 12}}]
    path = folder / "detectors.yaml"
    path.write_text(yaml.safe_dump({name: SWEEP[name] for name in ("models", "seeds", "baseline")} | {"arms": arms}))
    return list_trials(read_sweep(path), folder)


def test_its_trials_have_its_config_and_the_arms_settings(trials: list[Trial]) -> None:
    plain, wide = trials[:2]
    assert (plain.config.model.head_width, wide.config.model.head_width) == (MODEL["model"]["head_width"], 12)
    assert (plain.config.data.elongation, wide.config.data.elongation) == (True, False)
    assert (plain.config.train.epochs, wide.config.train.epochs) == (4, 3)
    assert plain.config.data.train == wide.config.data.train
    assert group_trials(trials[:2], 2) == [("tiny_focal_seed0",), ("tiny_wide_seed0",)]  # never in one process


def test_pairs_share_their_frames_and_the_report_says_that_they_share_no_more(
    trials: list[Trial], sweep_file: Path, tmp_path: Path
) -> None:
    folder = SweepFolder(tmp_path / "detectors")
    prepare_folder(folder, read_sweep(sweep_file.with_name("detectors.yaml")), trials)
    for trial in trials:
        train_here(folder, trial.name)
    assert list_mismatches(folder, trials, "focal") == []
    sweep = read_finished_sweep(folder)
    assert sweep.excluded == ()
    report = build_report(sweep.detectors[0], ReportSizes(10, 2, 1, 100))
    assert report.arms == ["focal", "wide"]
    assert "wide: another detector, paired by frames and their order alone" in describe_report(sweep, report)
    assert describe_arm(sweep.detectors[0], "wide").startswith("a config of its own, ")
    assert "wide" not in report.sizes  # its gradients are of other maps
    assert {one.arm for one in report.differences} == {"wide"}
    write_report(folder.path, tmp_path / "report", ReportSizes(10, 2, 1, 100))
    assert "| vehicle | wide |" in (tmp_path / "report/report.md").read_text("utf-8")
    assert "a config of its own" in (tmp_path / "report/report.html").read_text("utf-8")
