"""Compare simulated with real frames: numbers on the terminal, histograms in a picture.

Example: pcdet-poly compare-simulation real_0.bin real_1.bin --labels real.tfrecord --output comparison.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

from pcdet_poly.commands.file_kinds import PNG_PICTURE
from pcdet_poly.commands.options import (
    add_output,
    parse_local_path,
    parse_natural_int,
    parse_path_or_url,
    parse_positive_int,
)
from pcdet_poly.commands.parser import CommandParser
from pcdet_poly.names.shown_names import print_line


def add_arguments(parser: CommandParser) -> None:
    """Add the options of `pcdet-poly compare-simulation`."""
    parser.add_argument(
        "real",
        metavar="REAL",
        nargs="+",
        type=parse_local_path,
        help="real frames: float32 rows of x y z tanh(intensity) elongation",
    )
    parser.add_argument(
        "--labels",
        metavar="RECORD",
        nargs="*",
        type=parse_path_or_url,
        default=[],
        help="Waymo records whose labels give points per object",
    )
    parser.add_argument(
        "--frames", metavar="N", type=parse_positive_int, default=8, help="simulated frames, one segment each"
    )
    parser.add_argument(
        "--seed", metavar="N", type=parse_natural_int, default=500, help="seed of the first simulated segment"
    )
    add_output(parser, "picture to write", metavar="FILE", parse=PNG_PICTURE, default=Path("simulation_vs_real.png"))


def run(options: argparse.Namespace) -> None:
    """Print a line per group of frames, and draw the histograms."""
    from pcdet_poly.simulation.comparison.compare import compare_frames

    compare_frames(options.real, options.labels, range(options.seed, options.seed + options.frames), options.output)
    print_line(options.output)
