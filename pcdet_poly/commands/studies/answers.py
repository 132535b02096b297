"""Print the planned answers of one or several studies as a Markdown table.

They are read from answers.csv, which the report of each study holds.

Example: pcdet-poly answers sweeps/heads sweeps/heads_segmentation
"""

from __future__ import annotations

import argparse

from pcdet_poly.commands.options import parse_local_path
from pcdet_poly.commands.parser import CommandParser
from pcdet_poly.names.shown_names import print_lines


def add_arguments(parser: CommandParser) -> None:
    """Add the options of `pcdet-poly answers`."""
    parser.add_argument(
        "studies", nargs="+", metavar="DIR", type=parse_local_path, help="folders of sweeps, or of their reports"
    )
    parser.add_argument("--all", action="store_true", help="every arm, and the metrics beside the one that decides")


def run(options: argparse.Namespace) -> None:
    """Read all studies, then print."""
    from pcdet_poly.experiments.report.formats.answers_csv import find_answers, format_answers_table

    files = [find_answers(folder) for folder in options.studies]
    print_lines(*format_answers_table(files, show_all=options.all).splitlines())
