"""Trainings that were run, one row of a CSV file each: what is there is not run again.

The last column is the CRC-32 of the row's other cells, as they stand there. Files of before it was there have none.
"""

from __future__ import annotations

import csv
import zlib
from collections.abc import Iterable, Sequence
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
_HEADS = (*_KEY, *_SCORES, "cpu_seconds")
_CHECKSUM = "crc32"


def write_trials(path: Path, trials: TrialTable) -> None:
    """Write all trials, whole or not at all."""
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow([*_HEADS, _CHECKSUM])
        for key, found in trials.items():
            names = [key.detector, repr(key.arm.epsilon), int(key.arm.is_matched), key.seed, key.steps]
            cells = [str(cell) for cell in (*names, *asdict(found.scores).values(), f"{found.cpu_seconds:.1f}")]
            table.writerow([*cells, _compute_checksum(cells)])


def read_trials(path: Path) -> TrialTable:
    """Read the trials of a file; none where there is no file. Raises UserError for a file that is no such table."""
    if not path.exists():
        return {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return dict(_parse_rows(csv.DictReader(file)))
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise UserError(f"{path}: no table of trials ({error!r}); move it away, and the study starts anew") from error


def _compute_checksum(cells: Sequence[str]) -> int:
    return zlib.crc32(",".join(cells).encode())


def _parse_rows(rows: csv.DictReader[str]) -> Iterable[tuple[TrialKey, TrialScores]]:
    names: dict[str, DetectorName] = {"mask_rcnn": "mask_rcnn", "retinanet": "retinanet"}
    if rows.fieldnames and tuple(rows.fieldnames) not in (_HEADS, (*_HEADS, _CHECKSUM)):
        raise ValueError(f"its columns are not {', '.join(_HEADS)}")
    for number, row in enumerate(rows, start=1):
        checksum = row.pop(_CHECKSUM, "none")  # None where the row ends before it
        if checksum != "none" and checksum != str(_compute_checksum(list(row.values()))):
            raise ValueError(f"the checksum of its row {number} is wrong")
        arm = Arm(float(row["epsilon"]), bool(int(row["is_matched"])))
        key = TrialKey(names[row["detector"]], arm, int(row["seed"]), int(row["steps"]))
        scores = DetectionScores(**{name: float(row[name]) for name in _SCORES})
        yield key, TrialScores(scores, float(row["cpu_seconds"]))
