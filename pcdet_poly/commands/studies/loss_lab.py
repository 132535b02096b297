"""Draw what a loss's coefficients do: coefficients.png, curves.png and heatmap.png.

With --run, also runs.png and runs.json of finished runs.

Example: pcdet-poly loss-lab --output lab --run runs/a runs/b --frames 64
"""

from __future__ import annotations

import argparse
import json

from pcdet_poly.commands.options import (
    add_checkpoint,
    add_device,
    add_figure_formats,
    add_output,
    add_plugin,
    parse_local_path,
    parse_path_or_url,
    parse_positive_int,
)
from pcdet_poly.commands.parser import CommandParser
from pcdet_poly.names.shown_names import print_line


def add_arguments(parser: CommandParser) -> None:
    """Add the options of `pcdet-poly loss-lab`."""
    add_output(parser, "folder for the figures", required=True)
    parser.add_argument(
        "--run", type=parse_local_path, nargs="+", default=[], metavar="RUN", help="folders of finished runs"
    )
    parser.add_argument(
        "--frames", metavar="N", type=parse_positive_int, default=32, help="frames of each run's data to look at"
    )
    parser.add_argument(
        "--data", nargs="+", type=parse_path_or_url, metavar="STORE", help="frame stores (default: each run's data.val)"
    )
    add_checkpoint(parser, "default: last")
    add_figure_formats(parser)
    add_device(parser)
    add_plugin(parser)


def run(options: argparse.Namespace) -> None:
    """Examine the runs, draw everything, print the paths of what was written."""
    from pcdet_poly.engine.environment import pick_device
    from pcdet_poly.experiments.loss_lab.examine_run import examine_run
    from pcdet_poly.experiments.loss_lab.write_figures import write_family_figures, write_run_figure

    device = pick_device(options.device)
    overrides = [f"data.val={json.dumps(options.data)}"] if options.data else []
    runs = [
        examine_run(run, overrides, device, num_frames=options.frames, checkpoint=options.checkpoint)
        for run in options.run
    ]
    written = write_run_figure(runs, options.output, options.formats) if runs else []
    for path in [*write_family_figures(options.output, options.formats), *written]:
        print_line(path)
