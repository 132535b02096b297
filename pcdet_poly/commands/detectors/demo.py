"""Everything once, small: simulated Waymo segments, conversion, training, table, pictures; minutes on two cores.

Each step is a command of its own, and is printed before it runs. What is done is kept: run the same command again
after an interruption.

Example: pcdet-poly demo --output demo --workers 2
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
from functools import partial
from pathlib import Path

from pcdet_poly.commands.options import add_device, add_output, add_workers, parse_natural_int
from pcdet_poly.commands.parser import CommandParser
from pcdet_poly.config.find import find_config
from pcdet_poly.names.shown_names import print_line
from pcdet_poly.signals import catch_stop_signals
from pcdet_poly.signals.child_programs import pass_signal_on

# Of each part: segments, frames in each, seed of the first.
_PARTS = {"training": (40, 5, 1000), "validation": (10, 4, 20000)}


def add_arguments(parser: CommandParser) -> None:
    """Add the options of `pcdet-poly demo`."""
    add_output(parser, "folder for records, stores and runs", default=Path("demo"))
    add_workers(parser, "processes that simulate and convert")
    parser.add_argument(
        "--seed",
        metavar="N",
        type=parse_natural_int,
        default=0,
        help="of the training; others than 0 have their own run",
    )
    parser.add_argument("--data-only", action="store_true", help="stop before the training")
    add_device(parser)


def run(options: argparse.Namespace) -> int:
    """Run the steps one after the other until one fails; returns its exit code, or 0."""
    steps = list_data_steps(options.output, options.workers)
    if not options.data_only:
        steps += list_training_steps(options.output, options.device, options.seed)
    for step in steps:
        print_line(f"$ pcdet-poly {shlex.join(step)}", flush=True)
        if code := run_step(step):
            return code
    return 0


def list_data_steps(folder: Path, workers: int) -> list[list[str]]:
    """Return the words of the commands that simulate and convert both parts of the data below `folder`."""
    shared = ["--workers", str(workers)]
    records, stores = folder / "records", folder / "stores"
    simulate = [
        [
            *("simulate", "--output", str(records / part), "--segments", str(segments), "--frames", str(frames)),
            *("--interval-s", "1.0", "--seed", str(seed), *shared),
        ]
        for part, (segments, frames, seed) in _PARTS.items()
    ]
    convert = [["preprocess", str(records / part), "--output", str(stores / part), *shared] for part in _PARTS]
    return simulate + convert


def list_training_steps(folder: Path, device: str, seed: int = 0) -> list[list[str]]:
    """Return the words of the commands that train on the data below `folder`, and evaluate.

    Args:
        folder: the demo's.
        device: auto, cpu or cuda.
        seed: of starting weights, order and augmentation; each has a run of its own.
    """
    name = f"quick_seed{seed}" if seed else "quick"
    train = ["train", str(find_config("configs/quick.yaml")), "--runs-folder", str(folder / "runs"), "--resume"]
    if folder != Path("demo"):  # where quick.yaml looks
        names = {"train": folder / "stores/training", "val": folder / "stores/validation"}
        train += [f"data.{key}={json.dumps([str(store)])}" for key, store in names.items()]
    if seed:
        train += [f"train.seed={seed}", "--name", name]
    test = ["test", str(folder / "runs" / name)]
    return [[*words, "--device", device] for words in (train, test)]


def run_step(words: list[str]) -> int:
    """Run one command in a process of its own and return its exit code. Signals are the step's to answer."""
    with catch_stop_signals(at_once=False) as stop:
        process = subprocess.Popen([sys.executable, "-m", "pcdet_poly", *words], env=os.environ)
        stop.pass_on(partial(pass_signal_on, process))  # a terminal has sent Ctrl-C to both; the first one counts
        code = process.wait()
        if code == 0:
            stop.raise_if_asked()
        return code
