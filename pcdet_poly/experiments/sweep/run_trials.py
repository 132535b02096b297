"""Run the trials of a sweep that are not done, and check whether they ended well and started alike."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Literal, Protocol

from pcdet_poly.errors import UserError
from pcdet_poly.experiments.sweep.folder import SweepFolder
from pcdet_poly.experiments.sweep.groups import Group, choose_largest_group, group_trials
from pcdet_poly.experiments.sweep.schema import Trial

_POLL_S = 1.0


class Executor(Protocol):
    """Where trials run."""

    def has_room(self) -> bool:
        """Whether another group of trials may be started."""

    def start(self, group: Group) -> None:
        """Start a group of trials, one process."""

    def collect_ended(self) -> list[tuple[Group, int]]:
        """Collect the groups whose processes have ended since the last call, and their exit codes."""

    def stop(self) -> None:
        """Stop what runs, so that it can go on later."""


def run_trials(
    folder: SweepFolder,
    trials: Sequence[Trial],
    total_steps: dict[str, int],
    executor: Executor,
    *,
    lockstep: Literal["auto"] | bool = False,
    workers: int | None = 1,
    gpus: float = 0,
) -> None:
    """Run all trials that are not done, including those that failed before.

    Args:
        folder: the sweep's folder, prepared.
        trials: all trials, in the order in which they start.
        total_steps: steps of each trial's training, by its name.
        executor: what starts the trials.
        lockstep: whether trials may train in one process, as in the sweep's file.
        workers: processes at a time; None where nobody knows.
        gpus: of a trial.
    """
    from pcdet_poly.experiments.sweep.progress import Progress, show_progress

    undone = [trial for trial in trials if folder.read_end(trial.name).status != "done"]
    for trial in undone:
        folder.end_path(trial.name).unlink(missing_ok=True)
    largest = choose_largest_group(lockstep, num_trials=len(undone), workers=workers, gpus=gpus)
    waiting = group_trials(undone, largest)
    started_s: dict[Group, float] = {}
    with show_progress(Progress(folder, trials, total_steps)) as show:
        while waiting or started_s:
            while waiting and executor.has_room():
                group = waiting.pop(0)
                started_s[group] = time.monotonic()
                executor.start(group)
            for group, code in executor.collect_ended():
                _record_ends(folder, group, code, time.monotonic() - started_s.pop(group))
            show([name for group in started_s for name in group])
            time.sleep(_POLL_S)


def _record_ends(folder: SweepFolder, group: Group, code: int, seconds: float) -> None:
    """Write down the ends of those trials that their process has not written down itself."""
    for name in group:
        if folder.read_end(name).status == "waiting":
            folder.record_end(name, code, seconds / len(group))


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
        if ours and base and (mismatch := find_mismatch(ours, base, same_network=not trial.has_own_config)):
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
