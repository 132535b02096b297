"""A sweep's folder: what lies where, and how far each trial is.

sweep.json        models, arms, seeds, trials: all that the report needs besides the runs
configs/NAME.yaml resolved config of each trial
runs/NAME/        its run folder, as train.py makes it, and pairing.json
trials/NAME.json  how it ended: {"status": "done" or "failed", "reason", "seconds"}
logs/NAME.txt     what it printed
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pcdet_poly.config.load import dump_config, load_config
from pcdet_poly.engine.checkpoint import config_values, first_difference
from pcdet_poly.engine.run import MAY_CHANGE
from pcdet_poly.errors import UserError
from pcdet_poly.experiments.sweep.schema import Sweep, Trial
from pcdet_poly.files import atomic_path, write_json

Status = Literal["waiting", "done", "failed"]


@dataclass(frozen=True)
class SweepFolder:
    """Paths in a sweep's folder."""

    path: Path

    @property
    def runs(self) -> Path:
        """Folder of run folders."""
        return self.path / "runs"

    def run(self, name: str) -> Path:
        """Run folder of a trial."""
        return self.runs / name

    def config(self, name: str) -> Path:
        """Config that a trial is started with."""
        return self.path / "configs" / f"{name}.yaml"

    def log(self, name: str) -> Path:
        """What a trial printed."""
        return self.path / "logs" / f"{name}.txt"

    def end(self, name: str) -> Path:
        """How a trial ended."""
        return self.path / "trials" / f"{name}.json"

    def status(self, name: str) -> tuple[Status, str]:
        """How a trial ended, and the reason if it failed."""
        if not self.end(name).is_file():
            return "waiting", ""
        end = json.loads(self.end(name).read_text())
        return end["status"], end["reason"]

    def note_end(self, name: str, exit_code: int, seconds: float) -> None:
        """Write down that a trial's process has ended."""
        failed = exit_code != 0
        reason = (self._last_words(name) or f"exit code {exit_code}") if failed else ""
        end = {"status": "failed" if failed else "done", "reason": reason, "seconds": round(seconds, 1)}
        write_json(self.end(name), end)

    def _last_words(self, name: str) -> str:
        """The last line that a trial printed: train.py's errors are one line."""
        lines = self.log(name).read_text(errors="replace").splitlines() if self.log(name).exists() else []
        spoken = [line.strip() for line in lines if line.strip()]
        return spoken[-1].removeprefix("error: ") if spoken else ""

    def done_steps(self, name: str) -> int:
        """Steps in the trial's log so far."""
        path = self.run(name) / "log.jsonl"
        lines = path.read_text().splitlines(keepends=True) if path.is_file() else []
        whole = [line for line in lines if line.endswith("\n")]
        return int(json.loads(whole[-1])["step"]) if whole else 0


def prepare(folder: SweepFolder, sweep: Sweep, trials: Sequence[Trial]) -> None:
    """Write sweep.json and the configs. Raises UserError where a trial was begun with other settings."""
    for trial in trials:
        _check_unchanged(folder, trial)
    for trial in trials:
        with atomic_path(folder.config(trial.name)) as temporary:
            temporary.write_text(dump_config(trial.config))
    write_json(folder.path / "sweep.json", _described(sweep, trials))


def read_description(folder: SweepFolder) -> dict[str, Any]:
    """Content of sweep.json."""
    path = folder.path / "sweep.json"
    if not path.is_file():
        raise UserError(f"{folder.path}: not a sweep's folder (no sweep.json in it); name what sweep --output made")
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def _check_unchanged(folder: SweepFolder, trial: Trial) -> None:
    started = folder.run(trial.name) / "config.yaml"
    if not started.is_file():
        return
    before = config_values(load_config(started))
    difference = first_difference(before, config_values(trial.config), ignore=MAY_CHANGE)
    if difference is not None:
        key, old, new = difference
        raise UserError(
            f"{started.parent}: was made with {key} = {old}, the sweep now has {new}; go on with the settings it was "
            "begun with, or choose another --output"
        )


def _described(sweep: Sweep, trials: Sequence[Trial]) -> dict[str, Any]:
    return {
        "baseline": sweep.baseline,
        "models": list(sweep.models),
        "arms": [{"name": arm.name, "expect": arm.expect} for arm in sweep.all_arms],
        "seeds": list(sweep.seeds),
        "pieces_per_segment": sweep.pieces_per_segment,
        "trials": [{"name": t.name, "model": t.model, "arm": t.arm, "seed": t.seed} for t in trials],
    }
