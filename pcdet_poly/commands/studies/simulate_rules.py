"""Print how often the report's rules err, on simulated studies whose truth is known.

Each row is about one kind of study: so many seeds and segments, heavy tails, segments of unequal size. The table is
Markdown; with 3,000 studies per row it takes some five minutes of one core.

Example: pcdet-poly simulate-rules --studies 500
"""

from __future__ import annotations

import argparse

from pcdet_poly.commands.options import parse_positive_int
from pcdet_poly.commands.parser import CommandParser


def add_arguments(parser: CommandParser) -> None:
    """Add the options of `pcdet-poly simulate-rules`."""
    parser.add_argument("--studies", metavar="N", type=parse_positive_int, default=2000, help="per row (default: 2000)")


def run(options: argparse.Namespace) -> None:
    """Print the table, a row as soon as it is known."""
    from pcdet_poly.experiments.simulate_rules.error_rates import print_table

    print_table(options.studies)
