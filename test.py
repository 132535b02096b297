"""Evaluate a run: `python test.py runs/NAME` writes metrics.json, detections.parquet and pictures/ into it."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from pcdet_poly.errors import run_command


def main() -> int:
    """Parse, load, build, evaluate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", metavar="RUN", type=Path, help="folder that train.py made")
    parser.add_argument(
        "overrides", metavar="key=value", nargs="*", help="settings that win over the run's: decode.score=0.2"
    )
    parser.add_argument(
        "--checkpoint", default="last", metavar="best|last|PATH", help="default: last; best was chosen on data.val"
    )
    parser.add_argument(
        "--weights", choices=("raw", "ema"), help="last step's or averaged ones (default: averaged if there are some)"
    )
    parser.add_argument(
        "--data", nargs="+", metavar="STORE", help="frame stores to evaluate on (default: the run's data.val)"
    )
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="where to write (default: the run's folder)")
    parser.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: a GPU if there is one"
    )
    arguments = parser.parse_intermixed_args()

    from pcdet_poly.engine.checkpoint import load_checkpoint, load_model
    from pcdet_poly.engine.evaluate import evaluate_run
    from pcdet_poly.engine.frames import frames_to_evaluate
    from pcdet_poly.engine.processes import joined_processes
    from pcdet_poly.engine.run import open_run
    from pcdet_poly.engine.state import seeded_recipe

    overrides = arguments.overrides + ([f"data.val={json.dumps(arguments.data)}"] if arguments.data else [])
    with joined_processes(arguments.device) as device:
        run = open_run(arguments.run, overrides, device)
        frames = frames_to_evaluate(run.config)
        path = run.find_checkpoint(arguments.checkpoint)
        checkpoint = load_checkpoint(path)
        recipe = seeded_recipe(run.config, device)
        load_model(recipe.model, checkpoint, path, run.config, weights=arguments.weights)
        evaluate_run(run, recipe, frames, step=checkpoint.step, output=arguments.output)
    return 0


if __name__ == "__main__":
    sys.exit(run_command(main))
