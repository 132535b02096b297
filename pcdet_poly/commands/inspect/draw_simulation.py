"""Draw one simulated frame: from behind the car, from above, and as a range image.

Example: pcdet-poly draw-simulation --seed 7 --output frame.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

from pcdet_poly.commands.file_kinds import PNG_PICTURE
from pcdet_poly.commands.options import add_output, parse_natural_int
from pcdet_poly.commands.parser import CommandParser
from pcdet_poly.names.shown_names import print_line


def add_arguments(parser: CommandParser) -> None:
    """Add the options of `pcdet-poly draw-simulation`."""
    parser.add_argument(
        "--seed", metavar="N", type=parse_natural_int, default=5, help="segment of which the first frame is drawn"
    )
    add_output(parser, "picture to write", metavar="FILE", parse=PNG_PICTURE, default=Path("simulation_frame.png"))


def run(options: argparse.Namespace) -> None:
    """Simulate the frame and draw it."""
    from pcdet_poly.simulation.comparison.picture import draw_scan
    from pcdet_poly.simulation.segment import simulate_segment

    draw_scan(next(simulate_segment(options.seed, num_frames=1)), options.output)
    print_line(options.output)
