"""Run a study: `python -m pcdet_poly.experiments.sweep configs/sweeps/poly_epsilon.yaml [key=value ...]`.

Every trial (model, arm, seed) is an ordinary run folder. Run the same command again to go on after an
interruption: finished trials are skipped, others go on from their checkpoints. Then make the report:
`python -m pcdet_poly.experiments.report FOLDER`.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from pcdet_poly.errors import UserError, run_command
from pcdet_poly.experiments.sweep.folder import SweepFolder, prepare
from pcdet_poly.experiments.sweep.schema import Sweep, Trial, read_sweep, trials_of
from pcdet_poly.workers import worker_count

_POLL_S = 1.0


class Executor(Protocol):
    """Where trials run."""

    def has_room(self) -> bool:
        """Whether another trial may be started."""

    def start(self, name: str) -> None:
        """Start a trial."""

    def ended(self) -> list[tuple[str, int]]:
        """Names and exit codes of trials that have ended since the last call."""

    def stop(self) -> None:
        """Stop what runs; it can go on later."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Plan, run, check the pairing. 1 where a trial failed."""
    options = _parser().parse_intermixed_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stop trials, as Ctrl-C does
    sweep = read_sweep(options.sweep)
    trials = trials_of(sweep, options.sweep.parent, options.overrides)
    folder = SweepFolder(options.output or Path("sweeps") / options.sweep.stem)
    total_steps = {trial.name: _total_steps(trial, max(1, int(sweep.gpus))) for trial in trials}
    prepare(folder, sweep, trials)
    executor = _executor(options, folder, sweep)
    try:
        run_trials(folder, trials, total_steps, executor)
    finally:
        executor.stop()
    problems = [*failures(folder, trials), *mismatches(folder, trials, sweep.baseline)]
    for problem in problems:
        print(f"warning: {problem}", file=sys.stderr)
    print(f"{folder.path}: now python -m pcdet_poly.experiments.report {folder.path}")
    return 1 if problems else 0


def run_trials(folder: SweepFolder, trials: Sequence[Trial], total_steps: dict[str, int], executor: Executor) -> None:
    """Run all trials that are not done, those that failed before included."""
    from pcdet_poly.experiments.sweep.progress import Progress, shown

    waiting = [trial.name for trial in trials if folder.status(trial.name)[0] != "done"]
    for name in waiting:
        folder.end(name).unlink(missing_ok=True)
    started_s: dict[str, float] = {}
    with shown(Progress(folder, trials, total_steps)) as show:
        while waiting or started_s:
            while waiting and executor.has_room():
                name = waiting.pop(0)
                started_s[name] = time.monotonic()
                executor.start(name)
            for name, code in executor.ended():
                folder.note_end(name, code, time.monotonic() - started_s.pop(name))
            show(list(started_s))
            time.sleep(_POLL_S)


def failures(folder: SweepFolder, trials: Sequence[Trial]) -> list[str]:
    """Trials that failed, each with its reason."""
    ends = {trial.name: folder.status(trial.name) for trial in trials}
    return [f"{name}: failed: {reason}" for name, (status, reason) in ends.items() if status == "failed"]


def mismatches(folder: SweepFolder, trials: Sequence[Trial], baseline: str) -> list[str]:
    """Finished trials that do not start from what the baseline with their model and seed starts from."""
    from pcdet_poly.experiments.sweep.pairing import first_mismatch

    def pairing(name: str) -> dict[str, object] | None:
        path = folder.run(name) / "pairing.json"
        return json.loads(path.read_text()) if path.is_file() else None

    bases = {(t.model, t.seed): pairing(t.name) for t in trials if t.arm == baseline}
    found = []
    for trial in trials:
        ours, base = pairing(trial.name), bases[trial.model, trial.seed]
        if ours and base and (mismatch := first_mismatch(ours, base)):
            found.append(f"{trial.name}: not paired with {baseline}: {mismatch}")
    return found


def _total_steps(trial: Trial, num_processes: int) -> int:
    """Steps of the trial's training; raises UserError where its stores are not there."""
    from pcdet_poly.data.load.loader import steps_per_epoch
    from pcdet_poly.engine.frames import training_frames, validation_frames
    from pcdet_poly.engine.plan import Plan

    if validation_frames(trial.config) is None:
        raise UserError("data.val: a sweep needs frames to evaluate on; add data.val=[FOLDER]")
    per_epoch = steps_per_epoch(trial.config, training_frames(trial.config), world_size=num_processes)
    return Plan(trial.config.train, per_epoch).total_steps


def _executor(options: argparse.Namespace, folder: SweepFolder, sweep: Sweep) -> Executor:
    workers = options.workers or max(1, len(os.sched_getaffinity(0)) // sweep.threads)
    if options.executor == "ray":
        from pcdet_poly.experiments.sweep.ray_executor import RayExecutor

        return RayExecutor(folder, workers=workers, threads=sweep.threads, gpus=sweep.gpus, address=options.ray_address)
    from pcdet_poly.experiments.sweep.local_executor import LocalExecutor

    return LocalExecutor(folder, workers=workers, threads=sweep.threads, gpus=sweep.gpus)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pcdet_poly.experiments.sweep",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("sweep", metavar="SWEEP", type=Path, help="YAML file, for example configs/sweeps/mini.yaml")
    parser.add_argument("overrides", metavar="key=value", nargs="*", help="settings for all trials: train.epochs=2")
    parser.add_argument("--output", metavar="DIR", type=Path, help="the sweep's folder (default: sweeps/NAME)")
    parser.add_argument("--executor", choices=("local", "ray"), default="local", help="default: local")
    parser.add_argument("--ray-address", metavar="ADDRESS", help="a cluster that is there (default: start one here)")
    parser.add_argument("--workers", metavar="N", type=worker_count, help="trials at a time (default: cores / threads)")
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
