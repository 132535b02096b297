"""Repeat the paper's findings on real digits, on one core.

Trains a small residual network with cross-entropy, its first N polynomials alone, and Poly-1, with several
seeds each; writes table.md, figure.png and results.json.

Example: pcdet-poly digits --output digits --quick
"""

from __future__ import annotations

import argparse

from pcdet_poly.commands.options import add_figure_formats, add_output, parse_positive_int
from pcdet_poly.commands.parser import CommandParser
from pcdet_poly.errors import UserError
from pcdet_poly.locks import lock_folder
from pcdet_poly.names.shown_names import print_lines


def add_arguments(parser: CommandParser) -> None:
    """Add the options of `pcdet-poly digits`."""
    add_output(parser, "folder for table and figure", required=True)
    parser.add_argument("--seeds", metavar="N", type=parse_positive_int, default=8, help="trainings per loss")
    add_figure_formats(parser)
    parser.add_argument("--quick", action="store_true", help="few losses, five epochs: to see that it runs")


def run(options: argparse.Namespace) -> None:
    """Train everything, write the report, print the table."""
    if options.seeds < 2:
        raise UserError(f"--seeds {options.seeds}: an interval needs at least 2 seeds")
    from pcdet_poly.experiments.digits.study import run_study

    with lock_folder(options.output, work="study of digits", instead="choose another --output"):
        table = run_study(options.output, num_seeds=options.seeds, quick=options.quick, formats=options.formats)
    print_lines(*table.split("\n"))
