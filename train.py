"""Train a detector: `python train.py CONFIG [key=value ...]` makes runs/NAME and everything in it.

On N GPUs: `torchrun --nproc-per-node N train.py CONFIG ...`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pcdet_poly.config.arguments import add_config_arguments, config_from
from pcdet_poly.errors import run_command


def main() -> int:
    """Parse, load, build, train."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_config_arguments(parser)
    parser.add_argument("--name", help="name of the run's folder (default: the name of CONFIG)")
    parser.add_argument("--runs-folder", metavar="FOLDER", type=Path, default=Path("runs"), help="default: runs")
    parser.add_argument("--resume", action="store_true", help="go on where the run stopped; start it if there is none")
    parser.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: a GPU if there is one"
    )
    arguments = parser.parse_intermixed_args()
    config = config_from(arguments)

    from pcdet_poly.distributed import rank
    from pcdet_poly.engine.frames import training_frames, validation_frames
    from pcdet_poly.engine.processes import joined_processes, rerun_command
    from pcdet_poly.engine.start import start
    from pcdet_poly.engine.train import train

    with joined_processes(arguments.device) as device:
        frames, validation = training_frames(config), validation_frames(config)
        folder = arguments.runs_folder / (arguments.name or Path(arguments.config).stem)
        run, recipe = start(config, frames, folder, device, resume=arguments.resume)
        try:
            train(run, recipe, frames, validation)
        except KeyboardInterrupt:
            if rank() == 0:
                print(f"stopped and saved; go on with: {rerun_command('--resume')}", file=sys.stderr)
            return 130
        if rank() == 0:
            files = "config.yaml, log.jsonl, tensorboard/, checkpoints/, metrics.json, detections.parquet, pictures/"
            print(f"{folder}: {files}")
    return 0


if __name__ == "__main__":
    sys.exit(run_command(main))
