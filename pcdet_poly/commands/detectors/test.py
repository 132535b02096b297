"""Evaluate a run: writes metrics.json, detections.parquet and pictures/ into it.

With other data or settings than the run's own, into RUN/evaluations/NAME/, where NAME says which they are.
RUN may also be a checkpoint of a run: runs/NAME/checkpoints/best.pt.

Example: pcdet-poly test runs/quick --checkpoint best --data stores/validation
"""

from __future__ import annotations

import argparse
import json
from functools import partial

from pcdet_poly.commands.options import (
    add_checkpoint,
    add_device,
    add_output,
    add_overrides,
    add_run,
    parse_path_or_url,
    split_overrides,
    split_run,
)
from pcdet_poly.commands.parser import CommandParser
from pcdet_poly.errors import UserError
from pcdet_poly.names.shown_names import print_line


def add_arguments(parser: CommandParser) -> None:
    """Add the options of `pcdet-poly test`."""
    add_run(parser)
    add_overrides(parser, "settings that win over the run's: decode.score=0.2")
    add_checkpoint(parser, "default: last; best was chosen on data.val")
    parser.add_argument(
        "--weights", choices=("raw", "ema"), help="last step's or averaged ones (default: averaged if there are some)"
    )
    parser.add_argument(
        "--data",
        nargs="+",
        type=parse_path_or_url,
        metavar="STORE",
        help="frame stores to evaluate on (default: the run's data.val)",
    )
    add_output(parser, "where to write (default: the run's folder, or RUN/evaluations/NAME)")
    add_device(parser)


def run(options: argparse.Namespace) -> None:
    """Read the run, detect in its validation frames, compute the metrics."""
    folder, which = split_run(options.run, options.checkpoint)
    stores, more = split_overrides(options.data or [])
    overrides = options.overrides + more + ([f"data.val={json.dumps(stores)}"] if stores else [])

    from pcdet_poly.distributed import world_size
    from pcdet_poly.engine.checkpoint import load_checkpoint, load_model
    from pcdet_poly.engine.evaluate import evaluate_run
    from pcdet_poly.engine.evaluation_folder import choose_evaluation_folder, lock_evaluation
    from pcdet_poly.engine.frames import open_frames_to_evaluate
    from pcdet_poly.engine.processes import join_processes, stop_if_asked_anywhere
    from pcdet_poly.engine.run import open_run
    from pcdet_poly.engine.state import build_seeded_recipe
    from pcdet_poly.signals import catch_stop_signals

    with join_processes(options.device) as device, catch_stop_signals(at_once=world_size() == 1) as stop:
        run = open_run(folder, overrides, device)
        frames = open_frames_to_evaluate(run.config)
        path = run.find_checkpoint(which)
        checkpoint = load_checkpoint(path)
        recipe = build_seeded_recipe(run.config, device)
        load_model(recipe.model, checkpoint, path, run.config, weights=options.weights)
        check = partial(stop_if_asked_anywhere, stop)
        output = options.output or choose_evaluation_folder(run, overrides)
        with lock_evaluation(output):
            found = evaluate_run(run, recipe, frames, step=checkpoint.step, output=output, check=check)
        if found and output != folder:
            print_line(f"{output}: metrics.json, detections.parquet, pictures/")
        if found and not found.evaluator.num_objects:
            data = run.config.data
            raise UserError(
                f"{', '.join(data.val)}: no label of {', '.join(data.classes)} counts (those with a LiDAR point, in "
                "evaluation.within), so nothing was measured"
            )
