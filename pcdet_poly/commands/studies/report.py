"""Write the report of a study.

It is report.html (one page that needs no network), report.md with figures, and tables: answers.csv, runs.csv,
differences.csv and sizes.csv.

Example: pcdet-poly report sweeps/poly_epsilon
"""

from __future__ import annotations

import argparse

from pcdet_poly.commands.options import (
    add_figure_formats,
    add_output,
    add_plugin,
    parse_local_path,
    parse_natural_int,
    parse_positive_int,
)
from pcdet_poly.commands.parser import CommandParser


def add_arguments(parser: CommandParser) -> None:
    """Add the options of `pcdet-poly report`."""
    count, natural = parse_positive_int, parse_natural_int
    parser.add_argument("sweep", metavar="SWEEP_DIR", type=parse_local_path, help="folder that `pcdet-poly sweep` made")
    add_output(parser, "where to write (default: SWEEP_DIR/report)")
    parser.add_argument("--resamples", metavar="N", type=count, default=400, help="resamplings of the segments")
    parser.add_argument("--frames", metavar="N", type=natural, default=4, help="frames to show")
    parser.add_argument("--points", metavar="N", type=natural, default=20_000, help="LiDAR points shown per frame")
    parser.add_argument(
        "--histogram-frames",
        metavar="N",
        type=natural,
        default=16,
        help="frames for the histogram of P_t, a forward pass each (default: 16; 0: none)",
    )
    add_figure_formats(parser)
    add_plugin(parser)


def run(options: argparse.Namespace) -> None:
    """Read the study, compute, write; print what was written."""
    from pcdet_poly.experiments.report.detector_report import ReportSizes
    from pcdet_poly.experiments.report.write import write_report

    sizes = ReportSizes(options.resamples, options.histogram_frames, options.frames, options.points)
    write_report(options.sweep, options.output or options.sweep / "report", sizes, formats=options.formats)
