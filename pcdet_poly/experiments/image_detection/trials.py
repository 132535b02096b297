"""Trainings that were run, one row of a CSV file each: what is there is not run again."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from pcdet_poly.errors import UserError
from pcdet_poly.experiments.image_detection.arms import Arm, DetectorName
from pcdet_poly.experiments.image_detection.evaluate import DetectionScores
from pcdet_poly.files import atomic_path


@dataclass(frozen=True)
class TrialKey:
    """What decides a training; two with one key give the same numbers on one machine."""

    detector: DetectorName
    arm: Arm
    seed: int
    steps: int


@dataclass(frozen=True)
class TrialScores:
    """What came of a training."""

    scores: DetectionScores
    cpu_seconds: float


TrialTable = dict[TrialKey, TrialScores]
_KEY = ("detector", "epsilon", "is_matched", "seed", "steps")
_SCORES = tuple(field.name for field in fields(DetectionScores))


def write_trials(path: Path, trials: TrialTable) -> None:
    """Write all trials, whole or not at all."""
    with atomic_path(path) as temporary, temporary.open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow([*_KEY, *_SCORES, "cpu_seconds"])
        for key, found in trials.items():
            names = [key.detector, repr(key.arm.epsilon), int(key.arm.is_matched), key.seed, key.steps]
            table.writerow([*names, *asdict(found.scores).values(), f"{found.cpu_seconds:.1f}"])


def read_trials(path: Path) -> TrialTable:
    """Read the trials of a file; none where there is no file. Raises UserError for a file that is no such table."""
    if not path.exists():
        return {}
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    try:
        return dict(_parse_rows(rows))
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: no table of trials ({error!r}); move it away, and the study starts anew") from error


def _parse_rows(rows: Iterable[dict[str, str]]) -> Iterable[tuple[TrialKey, TrialScores]]:
    names: dict[str, DetectorName] = {"mask_rcnn": "mask_rcnn", "retinanet": "retinanet"}
    for row in rows:
        arm = Arm(float(row["epsilon"]), bool(int(row["is_matched"])))
        key = TrialKey(names[row["detector"]], arm, int(row["seed"]), int(row["steps"]))
        scores = DetectionScores(**{name: float(row[name]) for name in _SCORES})
        yield key, TrialScores(scores, float(row["cpu_seconds"]))
