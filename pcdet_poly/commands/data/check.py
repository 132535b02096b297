"""Verify a frame store: every checksum, finite points, sane boxes, counts as the manifest has them.

Prints one row per segment and every problem with file and frame; exit code 2 if there is any.

Example: pcdet-poly check stores/training --workers 8
"""

from __future__ import annotations

import argparse

from pcdet_poly.commands.options import add_workers, parse_path_or_url
from pcdet_poly.commands.parser import CommandParser
from pcdet_poly.errors import UserError


def add_arguments(parser: CommandParser) -> None:
    """Add the options of `pcdet-poly check`."""
    parser.add_argument("store", metavar="STORE", type=parse_path_or_url, help="folder of the store")
    add_workers(parser)


def run(options: argparse.Namespace) -> None:
    """Check every frame and print what was found. Raises UserError where there is a problem."""
    from rich.console import Console

    from pcdet_poly.data.convert.check_store import check_store
    from pcdet_poly.data.convert.conversion_summary import print_check

    checks = check_store(options.store, workers=options.workers)
    print_check(checks, Console())
    problems = [problem for check in checks for problem in check.faults]
    if problems:
        raise UserError(f"{len(problems)} problems, the first: {problems[0]}")
