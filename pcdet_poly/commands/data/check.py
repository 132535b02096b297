"""Verify a frame store: checksums, and that its points, boxes, labels, poses and times can be meant.

Prints one row per segment, histograms of what the frames hold, every problem with file and frame, and one warning
with a count for each thing that may be meant; exit code 2 if there is a problem.

Example: pcdet-poly check stores/training --workers 8
"""

from __future__ import annotations

import argparse

from pcdet_poly.commands.file_kinds import PAGE
from pcdet_poly.commands.options import add_workers, parse_path_or_url
from pcdet_poly.commands.parser import CommandParser
from pcdet_poly.errors import UserError


def add_arguments(parser: CommandParser) -> None:
    """Add the options of `pcdet-poly check`."""
    parser.add_argument("store", metavar="STORE", type=parse_path_or_url, help="folder of the store")
    parser.add_argument("--html", metavar="FILE", type=PAGE, help="write the report as a page there, too")
    add_workers(parser)


def run(options: argparse.Namespace) -> None:
    """Check every frame and print what was found. Raises UserError where there is a problem."""
    from rich.console import Console

    from pcdet_poly.data.check.check_store import check_store
    from pcdet_poly.data.check.report import print_check, write_check_page

    checks = check_store(options.store, workers=options.workers)
    print_check(checks, Console())
    if options.html:
        write_check_page(checks, options.html, str(options.store))
    problems = [problem for check in checks for problem in check.faults]
    if problems:
        raise UserError(f"{len(problems)} problems, the first: {problems[0]}")
