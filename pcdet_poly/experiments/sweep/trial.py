"""One trial's process: write what it starts from, then become train.py.

`python -m pcdet_poly.experiments.sweep.trial SWEEP_DIR NAME` is what the sweep starts for every trial.
"""

from __future__ import annotations

import argparse
import fcntl
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from pcdet_poly.errors import run_command
from pcdet_poly.experiments.sweep.folder import SweepFolder

TRAIN = Path(__file__).resolve().parents[3] / "train.py"


def trial_command(folder: SweepFolder, name: str, gpus: float) -> list[str]:
    """What starts a trial on so many GPUs, or on the CPU."""
    module = "pcdet_poly.experiments.sweep.trial"
    return [sys.executable, "-m", module, str(folder.path), name, "--num-gpus", str(math.ceil(gpus))]


def train_command(folder: SweepFolder, name: str, *, num_gpus: int) -> list[str]:
    """What a trial becomes: train.py, under torchrun for several GPUs, on the CPU for none."""
    start = [sys.executable]
    if num_gpus > 1:
        start += ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={num_gpus}"]
    words = [str(TRAIN), str(folder.config(name)), "--name", name, "--runs-folder", str(folder.runs), "--resume"]
    return [*start, *words, "--device", "cuda" if num_gpus else "cpu"]


def begin(folder: SweepFolder, name: str) -> None:
    """Make the run folder with its config and pairing.json, unless a former start did."""
    from pcdet_poly.config.load import load_config
    from pcdet_poly.experiments.sweep.pairing import pairing_of
    from pcdet_poly.files import atomic_path, write_json

    run = folder.run(name)
    if (run / "pairing.json").is_file():
        return
    pairing = pairing_of(load_config(folder.config(name)), run)
    if not (run / "config.yaml").is_file():
        with atomic_path(run / "config.yaml") as temporary:
            temporary.write_text(folder.config(name).read_text())
    write_json(run / "pairing.json", pairing)


def main(arguments: Sequence[str] | None = None) -> int:
    """Wait for our turn at the run folder, prepare it, train."""
    parser = argparse.ArgumentParser(prog="python -m pcdet_poly.experiments.sweep.trial", description=__doc__)
    parser.add_argument("folder", metavar="SWEEP_DIR", type=Path)
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("--num-gpus", type=int, default=0)
    options = parser.parse_args(arguments)
    folder = SweepFolder(options.folder)
    _take_turn(folder, options.name)
    begin(folder, options.name)
    command = train_command(folder, options.name, num_gpus=options.num_gpus)
    os.execv(command[0], command)


def _take_turn(folder: SweepFolder, name: str) -> None:
    """Hold the trial's lock until this process ends. The sweep may have been killed and its trial live on."""
    path = folder.path / "locks" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(path, os.O_CREAT | os.O_RDWR)
    os.set_inheritable(lock, True)  # through exec
    fcntl.flock(lock, fcntl.LOCK_EX)


if __name__ == "__main__":
    sys.exit(run_command(main))
