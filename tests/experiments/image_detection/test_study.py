"""The study: what is trained is kept and not trained again, and rows compare arms paired by seed."""

from __future__ import annotations

import math
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

if find_spec("torchvision") is None or find_spec("faster_coco_eval") is None:
    pytest.skip("the extra images is not installed", allow_module_level=True)
from pcdet_poly.errors import UserError
from pcdet_poly.experiments.image_detection import study
from pcdet_poly.experiments.image_detection.arms import QUICK_ARMS, Arm
from pcdet_poly.experiments.image_detection.evaluate import DetectionScores
from pcdet_poly.experiments.image_detection.scenes import compose_scenes
from pcdet_poly.experiments.image_detection.sizes import FULL, QUICK, StudySize, list_trials
from pcdet_poly.experiments.image_detection.study import run_study, run_trials
from pcdet_poly.experiments.image_detection.train import TrainingSchedule
from pcdet_poly.experiments.image_detection.trials import TrialKey, TrialScores, read_trials, write_trials

SMALL = StudySize(QUICK_ARMS, 3, {"mask_rcnn": TrainingSchedule(2), "retinanet": TrainingSchedule(3)}, num_val=1)


def invent_scores(key: TrialKey) -> TrialScores:
    """Epsilon -1 gains 2 points of box AR; the other metrics are those of the seed."""
    level = 50.0 + key.seed
    box_ar = level - 2 * key.arm.epsilon + (0.01 * key.seed if key.arm.epsilon else 0)
    masks = (level, level + 1) if key.detector == "mask_rcnn" else (math.nan, math.nan)
    return TrialScores(DetectionScores(level, box_ar, *masks, 90.0, math.nan, 0.1), 12.3)


@pytest.fixture
def invented(monkeypatch: pytest.MonkeyPatch) -> list[TrialKey]:
    """The trials that were run; none is trained."""
    ran: list[TrialKey] = []
    monkeypatch.setattr(study, "run_trial", lambda key, *rest: (ran.append(key), invent_scores(key))[1])
    return ran


def test_trials_that_are_there_are_not_run_again(invented: list[TrialKey], tmp_path: Path) -> None:
    path = tmp_path / "new" / "trials.csv"
    first = run_trials(path, SMALL)
    assert invented == list_trials(SMALL) == list(first)
    assert len(invented) == 2 * 2 * 3
    rows = path.read_text().splitlines()
    path.write_text("\n".join(rows[:6]) + "\n")  # a study that was stopped after five trials
    invented.clear()
    assert run_trials(path, SMALL).keys() == first.keys()
    assert invented == list_trials(SMALL)[5:]
    assert path.read_text().splitlines() == rows
    invented.clear()
    longer = StudySize(QUICK_ARMS, 3, SMALL.schedules | {"retinanet": TrainingSchedule(4)}, num_val=1)
    run_trials(path, longer)
    assert {(key.detector, key.steps) for key in invented} == {("retinanet", 4)}


def test_a_table_of_trials_is_read_as_it_was_written(tmp_path: Path) -> None:
    keys = [TrialKey("mask_rcnn", Arm(-1.0, is_matched=True), 4, 7), TrialKey("retinanet", Arm(0.1 + 0.2), 0, 7)]
    trials = {key: invent_scores(key) for key in keys}
    write_trials(tmp_path / "trials.csv", trials)
    found = read_trials(tmp_path / "trials.csv")
    assert list(found) == keys
    assert repr(found) == repr(trials)  # every digit, and NaN
    assert read_trials(tmp_path / "none.csv") == {}


@pytest.mark.parametrize("text", ["", "detector,epsilon\nmask_rcnn,0\n", "a,b\n1,2\n"])
def test_another_table_is_refused_in_one_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "trials.csv"
    path.write_text(text)
    if not text:
        assert read_trials(path) == {}
        return
    with pytest.raises(UserError, match=r"trials.csv: no table of trials .* move it away"):
        read_trials(path)


def test_rows_are_differences_paired_by_seed(invented: list[TrialKey], tmp_path: Path) -> None:
    rows = study.compare_trials(run_trials(tmp_path / "trials.csv", SMALL), SMALL)
    assert [(row.task, row.system.split(",")[0], row.metric) for row in rows] == [
        ("detection", "Mask R-CNN", "box AR, %"),
        ("detection", "Mask R-CNN", "box AP, %"),
        ("detection", "RetinaNet", "box AR, %"),
        ("detection", "RetinaNet", "box AP, %"),
        ("masks", "Mask R-CNN", "mask AR, %"),
        ("masks", "Mask R-CNN", "mask AP, %"),
    ]
    gained = rows[0]
    assert (gained.arm, gained.role, gained.baseline, gained.epsilon) == ("eps = -1", "paper", "plain", -1.0)
    assert (gained.baseline_value, gained.difference) == pytest.approx((51, 2.01))
    assert gained.low > 1.9  # the seeds differ by a point, their differences by a hundredth
    assert gained.p < 0.01
    assert [row.difference for row in rows[1::2]] == [0, 0, 0]
    assert [arm.name for arm in FULL.arms] == ["plain", "eps = -1", "eps = -1, size-matched", "eps = 1", "eps = 2"]
    assert [study._find_role(arm) for arm in FULL.arms[1:]] == ["paper", "matched", "other", "other"]


def test_a_study_writes_its_trials_and_notes(
    invented: list[TrialKey], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study, "QUICK", SMALL)
    rows = run_study(tmp_path, quick=True)
    assert len(rows) == 6
    assert {row.source for row in rows} == {"detection/trials.csv"}
    lines = (tmp_path / "notes.md").read_text().splitlines()
    (plain,) = [line for line in lines if line.startswith("| mask_rcnn, plain |")]
    cells = [cell.strip() for cell in plain.strip("|").split("|")]
    assert cells[1:] == ["51.0 (1.0)", "51.0 (1.0)", "51.0 (1.0)", "52.0 (1.0)", "90.0 (0.0)", "-", "0.1 (0.0)"]
    assert "2 for mask_rcnn, 3 for retinanet" in lines[0]
    again = len(invented)
    assert [row.difference for row in run_study(tmp_path, quick=True)] == [row.difference for row in rows]
    assert len(invented) == again


def test_sizes_are_those_that_the_report_promises() -> None:
    assert (len(FULL.arms), FULL.num_seeds, len(QUICK.arms), QUICK.num_seeds) == (5, 6, 2, 3)
    assert len(list_trials(FULL)) == len(set(list_trials(FULL))) == 60
    assert len(list_trials(QUICK)) == 12


@pytest.mark.parametrize("detector", ["mask_rcnn", "retinanet"])
def test_a_short_training_is_scored(detector: str, tmp_path: Path) -> None:
    key = TrialKey(detector, Arm(-1.0, is_matched=True), 0, 3)
    threads = torch.get_num_threads()
    val, short, picture = compose_scenes("val", 2, 1), TrainingSchedule(3, num_scenes=6), tmp_path / "found.png"
    with study.use_one_thread():
        found = [study.run_trial(key, short, val, path) for path in (None, picture)]
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert torch.get_num_threads() == threads
    assert repr(found[0].scores) == repr(found[1].scores)  # one seed, one result
    has_masks = detector == "mask_rcnn"
    for name in ("box_ap", "box_ar", "found", "false_boxes"):
        assert np.isfinite(getattr(found[0].scores, name)), name
    assert np.isfinite(found[0].scores.mask_ar) == has_masks


def test_a_table_of_before_there_were_checksums_is_read_and_a_row_that_lost_its_own_is_not(tmp_path: Path) -> None:
    path, keys = tmp_path / "trials.csv", [TrialKey("retinanet", Arm(0.0), seed, 7) for seed in range(2)]
    write_trials(path, {key: invent_scores(key) for key in keys})
    found = read_trials(path)
    heads, *lines = path.read_text().splitlines()
    shorter = [line.rpartition(",")[0] for line in lines]
    path.write_text("\n".join([heads.removesuffix(",crc32"), *shorter]))
    assert repr(read_trials(path)) == repr(found)
    path.write_text("\n".join([heads, *shorter]))
    with pytest.raises(UserError, match="checksum of its row 1"):
        read_trials(path)
