"""One trial's process: write what it starts from, then train; on several GPUs, turn into torchrun.

`pcdet-poly trial SWEEP_DIR NAME` is what the sweep starts for every trial; with several names they train in lockstep.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from pcdet_poly.config.plugins import list_plugin_words
from pcdet_poly.experiments.sweep.folder import SweepFolder
from pcdet_poly.locks import lock_descriptor
from pcdet_poly.signals.child_programs import MEETING

PROGRAM = ("-m", "pcdet_poly")  # as an installed package has it, too


def build_trial_command(folder: SweepFolder, names: Sequence[str], gpus: float) -> list[str]:
    """Build the command that starts a trial, or several that train in lockstep.

    Args:
        folder: the sweep's folder.
        names: the trials.
        gpus: GPUs of a trial, or its share of one; 0 for the CPU.

    Returns:
        The program and its arguments.
    """
    words = ["trial", str(folder.path), *names, "--num-gpus", str(math.ceil(gpus))]
    return [sys.executable, *PROGRAM, *words, *list_plugin_words()]


def build_train_command(folder: SweepFolder, name: str, *, num_gpus: int) -> list[str]:
    """Build the command that trains a trial: `pcdet-poly train`, through torchrun for several GPUs.

    Args:
        folder: the sweep's folder.
        name: the trial.
        num_gpus: how many GPUs it trains on; 0 for the CPU.

    Returns:
        The program and its arguments.
    """
    start = [sys.executable]
    if num_gpus > 1:
        meeting = f"{find_meeting(folder, name)}.torchrun"  # by itself torchrun opens a port to the whole network
        start += ["-m", "torch.distributed.run", "--nnodes=1", f"--nproc_per_node={num_gpus}", "--local-addr=127.0.0.1"]
        start += [
            "--rdzv-backend=c10d",
            "--rdzv-conf=store_type=file",
            f"--rdzv-endpoint={meeting}",
            f"--rdzv-id={name}",
        ]
    words = ["train", str(folder.config_path(name)), "--name", name, "--runs-folder", str(folder.runs), "--resume"]
    return [*start, *PROGRAM, *words, "--device", "cuda" if num_gpus else "cpu", *list_plugin_words()]


def find_meeting(folder: SweepFolder, name: str) -> Path:
    """Find the path of the file by which the processes of a trial on several GPUs find each other."""
    return folder.path / "locks" / f"{name}.meeting"


def begin_trial(folder: SweepFolder, name: str) -> None:
    """Make the run folder with its config and pairing.json, unless a former start did."""
    from pcdet_poly.config.load import load_config
    from pcdet_poly.experiments.sweep.pairing import compute_pairing
    from pcdet_poly.files import atomic_path, write_checked_json

    run = folder.run_path(name)
    if folder.pairing_path(name).is_file():
        return
    pairing = compute_pairing(load_config(folder.config_path(name)), run)
    if not (run / "config.yaml").is_file():
        with atomic_path(run / "config.yaml") as temporary:
            temporary.write_bytes(folder.config_path(name).read_bytes())
    write_checked_json(folder.pairing_path(name), pairing.model_dump())


def become_training(folder: SweepFolder, name: str, *, num_gpus: int) -> NoReturn:
    """Wait for our turn at the trial's run folder, prepare it, and let torchrun take this process over.

    Windows, which has no such thing, has no NCCL either: no trial has several GPUs there.

    Args:
        folder: the sweep's folder.
        name: the trial.
        num_gpus: how many GPUs it trains on, more than 1.
    """
    take_turn(folder, name)
    begin_trial(folder, name)
    meeting = find_meeting(folder, name)
    for path in (meeting, meeting.with_name(f"{meeting.name}.torchrun")):
        path.unlink(missing_ok=True)  # of an earlier start: only its lock's holder gets here
    command = build_train_command(folder, name, num_gpus=num_gpus)
    os.execve(command[0], command, os.environ | {MEETING: str(meeting), "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"})


def take_turn(folder: SweepFolder, name: str) -> None:
    """Take the trial's lock and hold it until this process ends: a killed sweep's trial may still be running."""
    path = folder.path / "locks" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(path, os.O_CREAT | os.O_RDWR)
    os.set_inheritable(lock, True)  # through exec
    lock_descriptor(lock, wait=True)
