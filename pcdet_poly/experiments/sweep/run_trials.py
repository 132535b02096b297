"""Run the trials of a sweep that are not done, and check whether they ended well and started alike."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Protocol

from pcdet_poly.errors import UserError
from pcdet_poly.experiments.sweep.folder import SweepFolder
from pcdet_poly.experiments.sweep.schema import Trial

_POLL_S = 1.0


class Executor(Protocol):
    """Where trials run."""

    def has_room(self) -> bool:
        """Whether another trial may be started."""

    def start(self, name: str) -> None:
        """Start a trial."""

    def collect_ended(self) -> list[tuple[str, int]]:
        """Collect names and exit codes of trials that have ended since the last call."""

    def stop(self) -> None:
        """Stop what runs, so that it can go on later."""


def run_trials(folder: SweepFolder, trials: Sequence[Trial], total_steps: dict[str, int], executor: Executor) -> None:
    """Run all trials that are not done, including those that failed before.

    Args:
        folder: the sweep's folder, prepared.
        trials: all trials, in the order in which they start.
        total_steps: steps of each trial's training, by its name.
        executor: what starts the trials.
    """
    from pcdet_poly.experiments.sweep.progress import Progress, show_progress

    waiting = [trial.name for trial in trials if folder.read_end(trial.name).status != "done"]
    for name in waiting:
        folder.end_path(name).unlink(missing_ok=True)
    started_s: dict[str, float] = {}
    with show_progress(Progress(folder, trials, total_steps)) as show:
        while waiting or started_s:
            while waiting and executor.has_room():
                name = waiting.pop(0)
                started_s[name] = time.monotonic()
                executor.start(name)
            for name, code in executor.collect_ended():
                folder.record_end(name, code, time.monotonic() - started_s.pop(name))
            show(list(started_s))
            time.sleep(_POLL_S)


def list_failures(folder: SweepFolder, trials: Sequence[Trial]) -> list[str]:
    """List the trials that failed, each with its reason."""
    ends = {trial.name: folder.read_end(trial.name) for trial in trials}
    return [f"{name}: failed: {end.reason}" for name, end in ends.items() if end.status == "failed"]


def list_mismatches(folder: SweepFolder, trials: Sequence[Trial], baseline: str) -> list[str]:
    """List finished trials that did not start from what the baseline with their detector and seed started from.

    Args:
        folder: the sweep's folder.
        trials: all trials.
        baseline: name of the arm that the others are compared with.

    Returns:
        One line for each such trial, with what differs.
    """
    from pcdet_poly.experiments.sweep.pairing import Pairing, find_mismatch

    def read_pairing(name: str) -> Pairing | None:
        path = folder.pairing_path(name)
        return Pairing.read(path) if path.is_file() else None

    bases = {(t.detector, t.seed): read_pairing(t.name) for t in trials if t.arm == baseline}
    lines = []
    for trial in trials:
        ours, base = read_pairing(trial.name), bases[trial.detector, trial.seed]
        if ours and base and (mismatch := find_mismatch(ours, base)):
            lines.append(f"{trial.name}: not paired with {baseline}: {mismatch}")
    return lines


def count_total_steps(trial: Trial, num_processes: int) -> int:
    """Count the steps of the trial's training. Raises UserError where its stores are not there."""
    from pcdet_poly.data.load.loader import count_steps_per_epoch
    from pcdet_poly.engine.frames import open_training_frames
    from pcdet_poly.engine.timeline import Timeline

    if not trial.config.data.val:
        raise UserError("data.val: a sweep needs frames to evaluate on; add data.val=[FOLDER]")
    per_epoch = count_steps_per_epoch(trial.config, open_training_frames(trial.config), world_size=num_processes)
    return Timeline(trial.config.train, per_epoch).total_steps
