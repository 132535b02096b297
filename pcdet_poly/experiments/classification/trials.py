"""All trainings of a study, one JSON file each, so that an interrupted study goes on where it was."""

from __future__ import annotations

import csv
import io
import re
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch

from pcdet_poly.errors import UserError
from pcdet_poly.experiments.classification.arms import Arm
from pcdet_poly.experiments.classification.gradients import GradientRecord
from pcdet_poly.experiments.classification.train import LEARNING_RATES, TrainingSettings, TrialResult, train_arm
from pcdet_poly.files import atomic_path, read_checked_json, write_checked_json
from pcdet_poly.names.shown_names import print_line

SCORES = tuple(field.name for field in fields(TrialResult) if field.name != "records")
MEASURED = tuple(field.name for field in fields(GradientRecord))


@dataclass(frozen=True)
class Trial:
    """One training."""

    arm: Arm
    seed: int

    @property
    def file_name(self) -> str:
        """Name of the file that keeps the result."""
        words = re.sub(r"[^a-z0-9.-]+", "_", f"{self.arm.data} {self.arm.name}".lower())
        return f"{words}_s{self.seed}.json"


Results = Mapping[Trial, TrialResult]


def run_trials(folder: Path, trials: Sequence[Trial], settings: TrainingSettings) -> dict[Trial, TrialResult]:
    """Train what is not there yet, and tell on stderr how long the rest will take.

    Args:
        folder: of the results; a file of other settings is trained again.
        trials: in the order in which they are trained.
        settings: of every training.

    Returns:
        The result of every trial.
    """
    torch.set_num_threads(1)  # the network is too small to share
    found = {trial: read_result(folder / trial.file_name, describe_trial(trial, settings)) for trial in trials}
    missing = [trial for trial, result in found.items() if result is None]
    results = {trial: result for trial, result in found.items() if result is not None}
    started = time.perf_counter()
    for number, trial in enumerate(missing, start=1):
        result = train_arm(trial.arm, trial.seed, settings)
        write_checked_json(
            folder / trial.file_name, {"trial": describe_trial(trial, settings), "result": asdict(result)}
        )
        results[trial] = result
        left_s = (time.perf_counter() - started) / number * (len(missing) - number)
        told = f"{trial.arm.data}, {trial.arm.name}, seed {trial.seed}: {100 * result.accuracy:.1f} %"
        print_line(f"classification {number}/{len(missing)}: {told}; about {left_s:.0f} s to go", file=sys.stderr)
    return {trial: results[trial] for trial in trials}


def describe_trial(trial: Trial, settings: TrainingSettings) -> dict[str, Any]:
    """Describe everything that decides a result, in the plain types of JSON."""
    rate = LEARNING_RATES[trial.arm.data]
    return {"arm": asdict(trial.arm), "seed": trial.seed, "learning_rate": rate, **asdict(settings)}


def read_result(path: Path, expected: Mapping[str, Any]) -> TrialResult | None:
    """Read the result of a trial.

    Args:
        path: its file.
        expected: what `describe_trial` says of the trial.

    Returns:
        The result; None where there is no file, or one of other settings, or a damaged one, of which is told on stderr.
    """
    try:
        found = read_checked_json(path)
        if found.pop("trial") != expected:
            return None
        scores = found.pop("result")
        records = tuple(GradientRecord(**record) for record in scores.pop("records"))
        return TrialResult(**scores, records=records)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        told = str(error).partition(";")[0] if isinstance(error, UserError) else f"{path}: not a trial's result"
        print_line(f"{told}; it is trained again", file=sys.stderr)
        return None


def write_csv_files(folder: Path, results: Results) -> None:
    """Write trials.csv, one line a training, and training.csv, one line for each measured batch."""
    scores = [[*_name(trial), *(getattr(result, name) for name in SCORES)] for trial, result in results.items()]
    batches = [
        [*_name(trial), *(getattr(record, name) for name in MEASURED)]
        for trial, result in results.items()
        for record in result.records
    ]
    write_csv(folder / "trials.csv", ("data", "arm", "seed", *SCORES), scores)
    write_csv(folder / "training.csv", ("data", "arm", "seed", *MEASURED), batches)


def write_csv(path: Path, heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Write a table, whole or not at all.

    Args:
        path: the file.
        heads: one per column.
        rows: floats are written with six digits.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(heads)
    writer.writerows([f"{cell:.6g}" if isinstance(cell, float) else cell for cell in row] for row in rows)
    with atomic_path(path) as temporary:
        temporary.write_text(text.getvalue(), "utf-8", newline="\n")


def _name(trial: Trial) -> tuple[str, str, int]:
    return trial.arm.data, trial.arm.name, trial.seed
