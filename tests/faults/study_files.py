"""Files that studies read again, and what others' code gave: trainings that are done, tables, reference arrays."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from pcdet_poly.evaluation.waymo_op.comparison import read_results
from pcdet_poly.experiments.classification.arms import PLAIN
from pcdet_poly.experiments.classification.gradients import GradientRecord
from pcdet_poly.experiments.classification.train import TrainingSettings, TrialResult
from pcdet_poly.experiments.classification.trials import Trial, describe_trial, read_result
from pcdet_poly.experiments.image_detection import trials as detection
from pcdet_poly.experiments.image_detection.arms import Arm
from pcdet_poly.experiments.image_detection.evaluate import DetectionScores
from pcdet_poly.experiments.paper.detector_studies import read_study_rows
from pcdet_poly.experiments.reference.check_files import check_files, describe_file
from pcdet_poly.experiments.report.formats.answers_csv import Answer, read_answers
from pcdet_poly.files import write_checked_json
from tests.faults.damage import Format

_PEERS = Path(__file__).parents[1] / "assets/peers"
_TRIAL = describe_trial(Trial(PLAIN, 0), TrainingSettings())


def _make_classified(folder: Path) -> list[Path]:
    records = tuple(GradientRecord(step, 0.1 * step, 1.5, 0.4) for step in range(3))
    result = TrialResult(0.9, 0.31, 0.02, 0.8, records)
    write_checked_json(folder / "trial.json", {"trial": _TRIAL, "result": asdict(result)})
    return [folder / "trial.json"]


def _make_detected(folder: Path) -> list[Path]:
    scores = DetectionScores(70.25, 80.5, float("nan"), 1 / 3, 90.0, 0.75, 0.5)
    keys = [detection.TrialKey("mask_rcnn", Arm(epsilon), seed, 20) for epsilon in (0.0, -1.0) for seed in range(3)]
    detection.write_trials(folder / "trials.csv", {key: detection.TrialScores(scores, 12.5) for key in keys})
    return [folder / "trials.csv"]


def _find_row_ends(data: bytes) -> frozenset[int]:
    """Where a table may be cut and be one of fewer rows, with the last end of a line or without.

    It has no number of rows; one without a row may be of before there were checksums.
    """
    ends = [position for position, byte in enumerate(data) if byte == ord("\n")]
    return frozenset({0, data.index(b",crc32"), *ends, *(end + 1 for end in ends)})


def _make_runs(folder: Path) -> list[Path]:
    lines = ["model,arm,seed,class,part,level,metric,points"]
    for seed in range(3):
        for arm, points in (("focal", 50.125), ("eps-1", 51.5)):
            lines += [f"net,{arm},{seed},{name},3D,1,ap,{points + seed}" for name in ("VEHICLE", "PEDESTRIAN")]
    (folder / "runs.csv").write_text("\n".join(lines) + "\n")
    return [folder / "runs.csv"]


def _make_planned(folder: Path) -> list[Path]:
    """What a report writes of two contrasts, the second of which has no p."""
    start = ("net", "BEV LEVEL_1 AP", "yes", "VEHICLE PEDESTRIAN", "40", "contrast")
    numbers = [("-0.751", "-1.91", "0.41", "0.39", "1.93", "0.98"), ("-0.64", *["nan"] * 5)]
    lines = [Answer._fields, *((*start, f"question {k}", *row) for k, row in enumerate(numbers))]
    (folder / "answers.csv").write_text("".join(f"{','.join(line)}\n" for line in lines))
    return [folder / "answers.csv"]


def _make_answer(folder: Path) -> list[Path]:
    rows = {f"OBJECT_TYPE_{i}_LEVEL_1": {"AP": 0.5, "APH": 0.4, "APL": 0.3, "tp": [1.0, 2.0]} for i in range(3)}
    answer = {"3D": {"seconds": 0.5, "cpu_seconds": 0.4, "rows": rows}}
    (folder / "output.json").write_text(json.dumps(answer))
    return [folder / "output.json"]


def _copy_reference(folder: Path) -> list[Path]:
    return [shutil.copy(_PEERS / "pillarnext_schedule_A.npz", folder / "pillarnext_schedule_A.npz")]


def _build(
    name: str, checksum: str, make: Callable[[Path], list[Path]], read: Callable[[Path], object], file: str
) -> Format:
    return Format(name, checksum, make, lambda folder: read(folder / file))


STUDY_FILES = (
    _build("trial of classification (.json)", "CRC-32 of the content", _make_classified,
           lambda path: read_result(path, _TRIAL), "trial.json"),
    Format("trials of image detection (.csv)", "CRC-32 of each row", _make_detected,
           lambda folder: detection.read_trials(folder / "trials.csv"), _find_row_ends),
    _build("a study's runs.csv, for `paper`", "", _make_runs, read_study_rows, "runs.csv"),
    _build("a study's answers.csv", "", _make_planned, read_answers, "answers.csv"),
    _build("reference arrays (.npz)", "each member's CRC-32, by ZIP", _copy_reference,
           lambda path: [describe_file(one) for one in check_files([path])], "pillarnext_schedule_A.npz"),
    _build("numbers of Waymo's op (.json)", "", _make_answer, read_results, "output.json"),
)  # fmt: skip
