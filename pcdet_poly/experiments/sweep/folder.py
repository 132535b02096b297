"""A sweep's folder: what lies where, and how far each trial is.

sweep.json        detectors, arms, seeds, trials: all that the report needs besides the runs
configs/NAME.yaml resolved config of each trial
runs/NAME/        its run folder, as `pcdet-poly train` makes it, and pairing.json
trials/NAME.json  how it ended: {"status": "done" or "failed", "reason", "seconds"}
logs/NAME.txt     what it printed
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ValidationError

from pcdet_poly.config.load import dump_config, load_config
from pcdet_poly.engine.checkpoint import config_values, find_first_difference
from pcdet_poly.engine.run import MAY_CHANGE, read_log_file
from pcdet_poly.errors import UserError
from pcdet_poly.experiments.sweep.description import ArmRecord, SweepDescription, TrialRecord
from pcdet_poly.experiments.sweep.schema import Sweep, Trial
from pcdet_poly.files import atomic_path, read_checked_json, write_checked_json


class TrialEnd(BaseModel, frozen=True):
    """How a trial ended, as in trials/NAME.json; one that has not ended is waiting."""

    status: Literal["waiting", "done", "failed"]
    reason: str = ""  # of a failure
    seconds: float = 0.0  # that the last start took; a share of them where several trained in lockstep


@dataclass(frozen=True)
class SweepFolder:
    """Paths in a sweep's folder."""

    path: Path

    @property
    def runs(self) -> Path:
        """Folder of run folders."""
        return self.path / "runs"

    def run_path(self, name: str) -> Path:
        """Run folder of a trial."""
        return self.runs / name

    def config_path(self, name: str) -> Path:
        """Config that a trial is started with."""
        return self.path / "configs" / f"{name}.yaml"

    def log_path(self, name: str) -> Path:
        """What a trial printed."""
        return self.path / "logs" / f"{name}.txt"

    def end_path(self, name: str) -> Path:
        """How a trial ended."""
        return self.path / "trials" / f"{name}.json"

    def pairing_path(self, name: str) -> Path:
        """What a trial started from, as hashes."""
        return self.run_path(name) / "pairing.json"

    def read_end(self, name: str) -> TrialEnd:
        """Read how a trial ended."""
        path = self.end_path(name)
        if not path.is_file():
            return TrialEnd(status="waiting")
        try:
            return TrialEnd.model_validate(read_checked_json(path))
        except ValidationError:
            raise UserError(f"{path}: not how a trial ended; remove it, and run the sweep again") from None

    def record_end(self, name: str, exit_code: int, seconds: float) -> None:
        """Write down that a trial's process has ended.

        Args:
            name: the trial.
            exit_code: of its process; anything but 0 is a failure, and the last line that it printed is the reason.
            seconds: how long the process ran, for each of its trials.
        """
        failed = exit_code != 0
        reason = (self._read_last_line(name) or f"exit code {exit_code}") if failed else ""
        end = TrialEnd(status="failed" if failed else "done", reason=reason, seconds=round(seconds, 1))
        write_checked_json(self.end_path(name), end.model_dump())

    def _read_last_line(self, name: str) -> str:
        """Read the last line that a trial printed: a training's errors are one line."""
        path = self.log_path(name)
        lines = path.read_text("utf-8", errors="replace").splitlines() if path.exists() else []
        filled = [line.strip() for line in lines if line.strip()]
        return filled[-1].removeprefix("error: ") if filled else ""

    def count_done_steps(self, name: str) -> int:
        """Count the steps in the trial's log so far."""
        lines = read_log_file(self.run_path(name) / "log.jsonl")
        return int(lines[-1]["step"]) if lines else 0


def prepare_folder(folder: SweepFolder, sweep: Sweep, trials: Sequence[Trial]) -> None:
    """Write sweep.json and the configs.

    Args:
        folder: where; it may hold an earlier start of the same sweep.
        sweep: the sweep's file.
        trials: all its trials.

    Raises:
        UserError: a trial was begun with other settings.
    """
    for trial in trials:
        _check_unchanged(folder, trial)
    for trial in trials:
        with atomic_path(folder.config_path(trial.name)) as temporary:
            temporary.write_text(dump_config(trial.config), "utf-8", newline="\n")
    write_checked_json(folder.path / "sweep.json", _describe_sweep(sweep, trials).to_json())


def read_description(folder: SweepFolder) -> SweepDescription:
    """Read sweep.json. Raises UserError where the folder has none."""
    path = folder.path / "sweep.json"
    if not path.is_file():
        raise UserError(f"{folder.path}: not a sweep's folder (no sweep.json in it); name what sweep --output made")
    try:
        return SweepDescription.model_validate(read_checked_json(path))
    except ValidationError:
        raise UserError(f"{path}: not the description of a sweep; run the sweep again, it goes on") from None


def _check_unchanged(folder: SweepFolder, trial: Trial) -> None:
    started = folder.run_path(trial.name) / "config.yaml"
    if not started.is_file():
        return
    before = config_values(load_config(started))
    difference = find_first_difference(before, config_values(trial.config), ignore=MAY_CHANGE)
    if difference is not None:
        key, old, new = difference
        raise UserError(
            f"{started.parent}: was made with {key} = {old}, the sweep now has {new}; go on with the settings it was "
            "begun with, or choose another --output"
        )


def _describe_sweep(sweep: Sweep, trials: Sequence[Trial]) -> SweepDescription:
    return SweepDescription(
        baseline=sweep.baseline,
        detectors=tuple(sweep.models),
        arms=tuple(
            ArmRecord(name=arm.name, expect=arm.expect, has_own_config=arm.config is not None) for arm in sweep.all_arms
        ),
        seeds=sweep.seeds,
        pieces_per_segment=sweep.pieces_per_segment,
        trials=tuple(TrialRecord(name=t.name, detector=t.detector, arm=t.arm, seed=t.seed) for t in trials),
        questions=sweep.questions,
    )
