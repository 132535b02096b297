"""Train a detector: makes the folder runs/NAME and everything in it.

On N GPUs: `torchrun --nproc-per-node N -m pcdet_poly train CONFIG ...`.

Example: pcdet-poly train configs/quick.yaml train.epochs=4 --name short
"""

from __future__ import annotations

import argparse
from pathlib import Path

from pcdet_poly.commands.configs import add_config, read_config
from pcdet_poly.commands.options import add_device, parse_local_path
from pcdet_poly.commands.parser import CommandParser
from pcdet_poly.names.file_names import check_file_name
from pcdet_poly.names.shown_names import print_line


def add_arguments(parser: CommandParser) -> None:
    """Add the options of `pcdet-poly train`."""
    add_config(parser)
    parser.add_argument("--name", type=_parse_name, help="name of the run's folder (default: the name of CONFIG)")
    parser.add_argument(
        "--runs-folder", metavar="DIR", type=parse_local_path, default=Path("runs"), help="folder of all runs"
    )
    parser.add_argument("--resume", action="store_true", help="go on where the run stopped; start it if there is none")
    add_device(parser)


def run(options: argparse.Namespace) -> int:
    """Read the config and the data, build the detector, train."""
    config = read_config(options)

    from pcdet_poly.distributed import rank
    from pcdet_poly.engine.frames import open_training_frames, open_validation_frames, warn_of_shared_frames
    from pcdet_poly.engine.processes import build_rerun_command, join_processes
    from pcdet_poly.engine.run import lock_run
    from pcdet_poly.engine.start import prepare_run
    from pcdet_poly.engine.train import train
    from pcdet_poly.signals import explain_stop

    with join_processes(options.device) as device:
        frames, validation = open_training_frames(config), open_validation_frames(config)
        folder = options.runs_folder / (options.name or Path(options.config).stem)
        with lock_run(folder):
            run, recipe = prepare_run(config, frames, folder, device, resume=options.resume)
            warn_of_shared_frames(frames, validation)
            with explain_stop(lambda: f"saved; go on with: {build_rerun_command('--resume')}"):
                train(run, recipe, frames, validation)
        if rank() == 0:
            files = "config.yaml, log.jsonl, tensorboard/, checkpoints/, metrics.json, detections.parquet, pictures/"
            print_line(f"{folder}: {files}")
    return 0


def _parse_name(text: str) -> str:
    try:
        check_file_name(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}; --runs-folder chooses the folder") from None
    return text
