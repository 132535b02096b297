"""What a coefficient does, in pictures: `python -m pcdet_poly.experiments.loss_lab --output DIR`.

Writes coefficients.png, curves.png and heatmap.png; with --run, also runs.png and runs.json of finished runs.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from pcdet_poly.errors import run_command
from pcdet_poly.files import write_json


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw everything; print the paths of what was written."""
    options = _parser().parse_args(arguments)
    of_runs = draw_finished_runs(options) if options.run else []
    for path in [*draw_family(options.output), *of_runs]:
        print(path)
    return 0


def draw_family(output: Path) -> list[Path]:
    """The figures that need no run."""
    from pcdet_poly.experiments.figures import save
    from pcdet_poly.experiments.loss_lab.heatmap_gradients import draw_street
    from pcdet_poly.experiments.loss_lab.loss_curves import draw_coefficients, draw_curves

    figures = {"coefficients.png": draw_coefficients, "curves.png": draw_curves, "heatmap.png": draw_street}
    return [save(draw(), output / name) for name, draw in figures.items()]


def draw_finished_runs(options: argparse.Namespace) -> list[Path]:
    """The figure of the runs, and its numbers."""
    from pcdet_poly.engine.environment import pick_device
    from pcdet_poly.experiments.figures import save
    from pcdet_poly.experiments.loss_lab.examine_run import study_run
    from pcdet_poly.experiments.loss_lab.run_figure import draw_runs

    device = pick_device(options.device)
    overrides = [f"data.val={json.dumps(options.data)}"] if options.data else []
    studies = [
        study_run(run, overrides, device, num_frames=options.frames, checkpoint=options.checkpoint)
        for run in options.run
    ]
    write_json(options.output / "runs.json", [study.summary() for study in studies])
    return [save(draw_runs(studies), options.output / "runs.png"), options.output / "runs.json"]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pcdet_poly.experiments.loss_lab", description=__doc__)
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for the figures")
    parser.add_argument("--run", type=Path, nargs="+", default=[], metavar="RUN", help="folders that train.py made")
    parser.add_argument("--frames", type=int, default=32, help="frames of each run's data to look at (default: 32)")
    parser.add_argument("--data", nargs="+", metavar="STORE", help="frame stores (default: each run's data.val)")
    parser.add_argument("--checkpoint", default="last", metavar="best|last", help="default: last")
    parser.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: a GPU if there is one"
    )
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
