"""Train a detector: `python train.py CONFIG [key=value ...]` makes runs/NAME and everything in it."""

from __future__ import annotations

import argparse
import shlex
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

    from pcdet_poly.engine.environment import pick_device
    from pcdet_poly.engine.frames import training_frames, validation_frames
    from pcdet_poly.engine.run import start_run
    from pcdet_poly.engine.state import seeded_recipe
    from pcdet_poly.engine.train import train

    device = pick_device(arguments.device)
    frames, validation = training_frames(config), validation_frames(config)
    recipe = seeded_recipe(config, device)
    folder = arguments.runs_folder / (arguments.name or Path(arguments.config).stem)
    run = start_run(folder, config, device, resume=arguments.resume)
    try:
        train(run, recipe, frames, validation)
    except KeyboardInterrupt:
        command = [Path(sys.executable).name, *sys.argv, *(() if arguments.resume else ("--resume",))]
        print(f"stopped and saved; go on with: {shlex.join(command)}", file=sys.stderr)
        return 130
    print(
        f"{run.folder}: config.yaml, log.jsonl, tensorboard/, checkpoints/, metrics.json, detections.parquet, pictures/"
    )
    return 0


if __name__ == "__main__":
    sys.exit(run_command(main))
