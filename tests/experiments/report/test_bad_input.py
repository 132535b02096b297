"""Bad input: whatever may not be compared is named in the report, with the reason, and in none of its numbers."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pcdet_poly.experiments.report import write as report
from pcdet_poly.experiments.report.detector_report import Sizes, results_of
from pcdet_poly.experiments.report.finished_sweep import read_study
from pcdet_poly.experiments.report.formats.markdown import markdown
from pcdet_poly.experiments.report.metrics import Numbers
from pcdet_poly.experiments.sweep.folder import SweepFolder

SPOILED_TRIAL = "tiny_drop1_seed1"
CELL = ("VEHICLE", "3D", 2, "aph")


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _edit(path: Path, change: Callable[[Any], object]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def _fail(folder: SweepFolder, name: str) -> None:
    folder.log(name).parent.mkdir(exist_ok=True)
    folder.log(name).write_text("train 2/16\nerror: step 3: loss = nan; look\n")
    folder.note_end(name, 2, 1.0)


def _never_start(folder: SweepFolder, name: str) -> None:
    folder.end(name).unlink()
    shutil.rmtree(folder.run(name))


def _pairing(change: Callable[[Any], object]) -> Callable[[SweepFolder, str], None]:
    return lambda folder, name: _edit(folder.run(name) / "pairing.json", change)


def _metrics(change: Callable[[Any], object]) -> Callable[[SweepFolder, str], None]:
    return lambda folder, name: _edit(folder.run(name) / "metrics.json", change)


def _set_ap(value: float) -> Callable[[SweepFolder, str], None]:
    return _metrics(lambda metrics: metrics["3D"]["OBJECT_TYPE_TYPE_VEHICLE_LEVEL_1"].update(ap=value))


# What is done to a trial, and the reason that must be named.
SPOILED: dict[str, tuple[Callable[[SweepFolder, str], object], str]] = {
    "diverged": (_fail, "failed: step 3: loss = nan"),
    "never started": (_never_start, "missing: it never started"),
    "interrupted": (lambda f, n: f.end(n).unlink(), "not finished: stopped after 16 steps"),
    "no run folder": (lambda f, n: shutil.rmtree(f.run(n)), "incomplete: config.yaml is missing"),
    "checkpoint cut off": (
        lambda f, n: _cut(f.run(n) / "checkpoints" / "step_00000016.pt"),
        "not a checkpoint, or a damaged one",
    ),
    "detections cut off": (lambda f, n: _cut(f.run(n) / "detections.parquet"), "not a readable Parquet file"),
    "other data": (
        _pairing(lambda pairing: pairing["batches"]["epoch 0, batch 1"].update(points="0")),
        "not paired with the baseline: other points in epoch 0, batch 1",
    ),
    "other seed": (_pairing(lambda pairing: pairing.update(seed=5)), "not paired with the baseline: seed 5 against"),
    "NaN metric": (_set_ap(math.nan), "is nan"),
    "edited metric": (_set_ap(1.0), "are not of one evaluation"),
    "older metrics": (
        _metrics(lambda metrics: metrics["meta"].update(step=8)),
        "metrics.json is of step 8, the last checkpoint of step 16",
    ),
    "metrics cut off": (lambda f, n: _cut(f.run(n) / "metrics.json"), "metrics.json: not JSON"),
}


@pytest.mark.parametrize("spoiled", SPOILED)
def test_bad_input_is_named_and_in_no_number(copied: Callable[[], SweepFolder], numbers: Numbers, spoiled: str) -> None:
    folder = copied()
    change, reason = SPOILED[spoiled]
    change(folder, SPOILED_TRIAL)
    study = read_study(folder)
    (excluded,) = study.excluded
    assert excluded.trial == SPOILED_TRIAL
    assert reason in excluded.reason
    after = Numbers(study.models[0], resamples=2)
    assert study.models[0].common_seeds("drop1") == [0]
    assert after.difference("drop1", CELL).by_seed == numbers.difference("drop1", CELL).by_seed[:1]
    assert after.difference("epsilon1", CELL).by_seed == numbers.difference("epsilon1", CELL).by_seed
    assert f"**{SPOILED_TRIAL}**: {excluded.reason}" in markdown(study, [])


def test_a_baseline_that_is_missing_takes_its_partners_along(copied: Callable[[], SweepFolder]) -> None:
    folder = copied()
    folder.end("tiny_focal_seed1").unlink()
    study = read_study(folder)
    reasons = {one.trial: one.reason for one in study.excluded}
    assert set(reasons) == {"tiny_focal_seed1", "tiny_drop1_seed1", "tiny_epsilon1_seed1"}
    assert reasons["tiny_drop1_seed1"] == "no partner: the baseline's run with seed 1 is missing or left out"
    folder.end("tiny_focal_seed0").unlink()
    assert results_of(read_study(folder), Sizes()) == []


def test_one_seed_is_no_ground_for_claims(copied: Callable[[], SweepFolder]) -> None:
    folder = copied()
    for arm in ("focal", "drop1", "epsilon1"):
        _fail(folder, f"tiny_{arm}_seed1")
    (result,) = results_of(read_study(folder), Sizes(resamples=5, histogram_frames=0, scene_frames=0))
    text = " ".join(result.findings)
    assert "no difference can be tested" in text
    assert "which one seed cannot judge" in text
    assert "nan" not in text


def test_a_folder_that_is_no_sweep(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not a sweep's folder"):
        report.main([str(tmp_path)])
