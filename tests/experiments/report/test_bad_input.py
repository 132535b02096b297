"""Bad input: whatever may not be compared is named in the report, with the reason, and in none of its numbers."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pcdet_poly.commands.main import call_command
from pcdet_poly.evaluation import read_detections, write_detections
from pcdet_poly.experiments.report.detector_report import ReportSizes, build_reports
from pcdet_poly.experiments.report.formats.markdown import format_markdown
from pcdet_poly.experiments.report.metrics import DetectorMetrics, TableCell
from pcdet_poly.experiments.report.read_sweep import read_finished_sweep
from pcdet_poly.experiments.sweep.folder import SweepFolder

SPOILED_TRIAL = "tiny_drop1_seed1"
CELL = TableCell("VEHICLE", "3D", 2, "aph")


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _edit(path: Path, change: Callable[[Any], object]) -> None:
    content = json.loads(path.read_text())
    content.get("meta", content).pop("crc32")  # as one does who changes it on purpose
    change(content)
    path.write_text(json.dumps(content))


def _fail(folder: SweepFolder, name: str) -> None:
    folder.log_path(name).parent.mkdir(exist_ok=True)
    folder.log_path(name).write_text("train 2/16\nerror: step 3: loss = nan; look\n")
    folder.record_end(name, 2, 1.0)


def _never_start(folder: SweepFolder, name: str) -> None:
    folder.end_path(name).unlink()
    shutil.rmtree(folder.run_path(name))


def _pairing(change: Callable[[Any], object]) -> Callable[[SweepFolder, str], None]:
    return lambda folder, name: _edit(folder.run_path(name) / "pairing.json", change)


def _metrics(change: Callable[[Any], object]) -> Callable[[SweepFolder, str], None]:
    return lambda folder, name: _edit(folder.run_path(name) / "metrics.json", change)


def _set_ap(value: float) -> Callable[[SweepFolder, str], None]:
    return _metrics(lambda metrics: metrics["3D"]["OBJECT_TYPE_TYPE_VEHICLE_LEVEL_1"].update(ap=value))


def _change_data(folder: SweepFolder, name: str) -> None:
    path = folder.run_path(name) / "detections.parquet"
    file = read_detections(path)
    made_of = replace(file.provenance, data_hash="0123456789ab")
    write_detections(path, file.frame_ids, file.detections, file.class_names, provenance=made_of)


# What is done to a trial, and the reason that must be named.
SPOILED: dict[str, tuple[Callable[[SweepFolder, str], object], str]] = {
    "diverged": (_fail, "failed: step 3: loss = nan"),
    "never started": (_never_start, "missing: it never started"),
    "interrupted": (lambda f, n: f.end_path(n).unlink(), "not finished: stopped after 16 steps"),
    "no run folder": (lambda f, n: shutil.rmtree(f.run_path(n)), "incomplete: config.yaml is missing"),
    "checkpoint cut off": (
        lambda f, n: _cut(f.run_path(n) / "checkpoints" / "step_00000016.pt"),
        "not a checkpoint, or a damaged one",
    ),
    "detections cut off": (lambda f, n: _cut(f.run_path(n) / "detections.parquet"), "not a readable Parquet file"),
    "other data": (
        _pairing(lambda pairing: pairing["batches"]["epoch 0, batch 1"].update(points="0")),
        "not paired with the baseline: other points in epoch 0, batch 1",
    ),
    "changed store": (_change_data, "evaluated on other data than the baseline: a store of data.val has changed"),
    "other seed": (_pairing(lambda pairing: pairing.update(seed=5)), "not paired with the baseline: seed 5 against"),
    "NaN metric": (_set_ap(math.nan), "is nan"),
    "edited metric": (_set_ap(1.0), "are not of one evaluation"),
    "older metrics": (
        _metrics(lambda metrics: metrics["meta"].update(step=8)),
        "metrics.json is of step 8, the last checkpoint of step 16",
    ),
    "metrics cut off": (lambda f, n: _cut(f.run_path(n) / "metrics.json"), "metrics.json: not JSON"),
}


@pytest.mark.parametrize("spoiled", SPOILED)
def test_bad_input_is_named_and_in_no_number(
    copied: Callable[[], SweepFolder], metrics: DetectorMetrics, spoiled: str
) -> None:
    folder = copied()
    change, reason = SPOILED[spoiled]
    change(folder, SPOILED_TRIAL)
    sweep_runs = read_finished_sweep(folder)
    (excluded,) = sweep_runs.excluded
    assert excluded.trial == SPOILED_TRIAL
    assert reason in excluded.reason
    after = DetectorMetrics(sweep_runs.detectors[0], resamples=2)
    assert sweep_runs.detectors[0].list_common_seeds("drop1") == [0]
    assert after.compare_arm("drop1", CELL).by_seed == metrics.compare_arm("drop1", CELL).by_seed[:1]
    assert after.compare_arm("epsilon1", CELL).by_seed == metrics.compare_arm("epsilon1", CELL).by_seed
    assert f"**{SPOILED_TRIAL}**: {excluded.reason}" in format_markdown(sweep_runs, [])


def test_a_baseline_that_is_missing_takes_its_partners_along(copied: Callable[[], SweepFolder]) -> None:
    folder = copied()
    folder.end_path("tiny_focal_seed1").unlink()
    sweep_runs = read_finished_sweep(folder)
    reasons = {one.trial: one.reason for one in sweep_runs.excluded}
    assert set(reasons) == {"tiny_focal_seed1", "tiny_drop1_seed1", "tiny_epsilon1_seed1"}
    assert reasons["tiny_drop1_seed1"] == "no partner: the baseline's run with seed 1 is missing or left out"
    folder.end_path("tiny_focal_seed0").unlink()
    assert build_reports(read_finished_sweep(folder), ReportSizes()) == []


def test_one_seed_is_no_ground_for_claims(copied: Callable[[], SweepFolder]) -> None:
    folder = copied()
    for arm in ("focal", "drop1", "epsilon1"):
        _fail(folder, f"tiny_{arm}_seed1")
    (report,) = build_reports(read_finished_sweep(folder), ReportSizes(resamples=5, histogram_frames=0, shown_frames=0))
    text = " ".join(report.findings)
    for verdict in ("Different from", "as expected", "more than chance explains", "80 % power", "nan"):
        assert verdict not in text
    assert all(np.isnan(one.claim.p) for one in report.differences)


def test_a_folder_that_is_no_sweep(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not a sweep's folder"):
        call_command("report", [str(tmp_path)])
