"""Run a study: trains every trial, that is every model, arm and seed, as an ordinary run folder.

Run the same command again to go on after an interruption: finished trials are skipped, others go on from their
checkpoints. Then make the report: `pcdet-poly report FOLDER`.

Example: pcdet-poly sweep configs/sweeps/poly_epsilon.yaml train.epochs=2 --workers 2
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pcdet_poly.commands.options import add_output, add_overrides, add_plugin, parse_path_or_url, parse_positive_int
from pcdet_poly.commands.parser import CommandParser
from pcdet_poly.config.find import find_config
from pcdet_poly.errors import UserError
from pcdet_poly.locks import lock_folder
from pcdet_poly.names.shown_names import print_line
from pcdet_poly.signals import explain_stop

if TYPE_CHECKING:
    from pcdet_poly.experiments.sweep.folder import SweepFolder
    from pcdet_poly.experiments.sweep.run_trials import Executor
    from pcdet_poly.experiments.sweep.schema import Sweep, Trial


def add_arguments(parser: CommandParser) -> None:
    """Add the options of `pcdet-poly sweep`."""
    parser.add_argument(
        "sweep", metavar="SWEEP", type=parse_path_or_url, help="YAML file, for example configs/sweeps/mini.yaml"
    )
    add_overrides(parser, "settings for all trials: train.epochs=2")
    add_output(parser, "the sweep's folder (default: sweeps/NAME)")
    parser.add_argument("--executor", choices=("local", "ray"), default="local", help="where trials run")
    parser.add_argument("--ray-address", metavar="ADDRESS", help="a cluster that is there (default: start one here)")
    parser.add_argument(
        "--workers", metavar="N", type=parse_positive_int, help="processes at a time (default: cores / threads)"
    )
    parser.add_argument(
        "--first-seeds", metavar="N", type=parse_positive_int, help="train the first N seeds alone; a larger N goes on"
    )
    add_plugin(parser)


def run(options: argparse.Namespace) -> int:
    """Run the sweep, or the rounds of one that halves its arms. Returns 1 where a trial failed."""
    if options.ray_address and options.executor != "ray":
        raise UserError("--ray-address needs --executor ray")
    path = find_config(options.sweep, "sweeps")
    from pcdet_poly.experiments.sweep.schema import read_sweep

    sweep = read_sweep(path)
    if options.first_seeds:
        sweep = sweep.keep_first_seeds(options.first_seeds)
    output = options.output or Path("sweeps") / path.stem
    if sweep.halving is None:
        return 1 if _run_sweep(options, sweep, path, output)[1] else 0
    return _run_rounds(options, sweep, path, output)


def _run_rounds(options: argparse.Namespace, sweep: Sweep, path: Path, output: Path) -> int:
    from pcdet_poly.experiments.sweep.folder import SweepFolder
    from pcdet_poly.experiments.sweep.halving import build_final, build_round, choose_survivors, read_scores

    assert sweep.halving is not None
    arms = list(sweep.all_arms)
    for number, steps in enumerate(sweep.halving.steps, start=1):
        folder = output / f"round{number}"
        trials, _ = _run_sweep(options, build_round(sweep, arms, steps, sweep.seeds), path, folder)
        scores = read_scores(SweepFolder(folder), trials, sweep.main)
        arms = choose_survivors(arms, scores, sweep.halving.keep)
        print_line(f"round {number}: {', '.join(f'{arm.name} {100 * scores[arm.name]:.2f}' for arm in arms)}")
    return 1 if _run_sweep(options, build_final(sweep, arms), path, output / "final")[1] else 0


def _run_sweep(
    options: argparse.Namespace, sweep: Sweep, path: Path, output: Path
) -> tuple[Sequence[Trial], Sequence[str]]:
    """Run one sweep into `output`; returns its trials and what went wrong with them."""
    from pcdet_poly.experiments.sweep.folder import SweepFolder, prepare_folder
    from pcdet_poly.experiments.sweep.precision import fix_precisions
    from pcdet_poly.experiments.sweep.run_trials import count_total_steps, list_failures, list_mismatches, run_trials
    from pcdet_poly.experiments.sweep.schema import list_trials

    trials = list_trials(sweep, path.parent, options.overrides)
    folder = SweepFolder(output)
    total_steps = {trial.name: count_total_steps(trial, max(1, int(sweep.gpus))) for trial in trials}
    kept = f"{folder.path}: trials are saved where they were; run the same command again to go on"
    with lock_folder(folder.path, work="sweep", instead="choose another --output"), explain_stop(lambda: kept):
        trials = fix_precisions(folder, trials, gpus=sweep.gpus)
        prepare_folder(folder, sweep, trials)
        executor = _start_executor(options, folder, sweep)
        try:
            workers = options.workers if options.executor == "ray" else _count_workers(options, sweep)
            run_trials(folder, trials, total_steps, executor, lockstep=sweep.lockstep, workers=workers, gpus=sweep.gpus)
        finally:
            executor.stop()
    problems = [*list_failures(folder, trials), *list_mismatches(folder, trials, sweep.baseline)]
    for problem in problems:
        print_line(f"warning: {problem}", file=sys.stderr)
    print_line(f"{folder.path}: now pcdet-poly report {folder.path}")
    return trials, problems


def _start_executor(options: argparse.Namespace, folder: SweepFolder, sweep: Sweep) -> Executor:
    """Return what starts the trials, on this machine or on a Ray cluster."""
    workers = _count_workers(options, sweep)
    if options.executor == "ray":
        from pcdet_poly.experiments.sweep.ray_executor import RayExecutor

        return RayExecutor(folder, workers=workers, threads=sweep.threads, gpus=sweep.gpus, address=options.ray_address)
    from pcdet_poly.experiments.sweep.local_executor import LocalExecutor

    return LocalExecutor(folder, workers=workers, threads=sweep.threads, gpus=sweep.gpus)


def _count_workers(options: argparse.Namespace, sweep: Sweep) -> int:
    """Count the processes that train at a time on this machine."""
    # Where the system cannot say which cores are ours (macOS), all are.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return options.workers or max(1, cores // sweep.threads)
