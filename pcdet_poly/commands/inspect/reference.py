"""Compare our code with numbers that other projects' own code gave for the same inputs and weights.

A reference file is an .npz whose name begins with its kind, such as pillar_vfe_A.npz. For every output: the largest
error, the largest absolute value of the reference, and whether it holds. The exit code is 1 if one does not.

Example: pcdet-poly reference tests/assets/peers/*.npz
"""

from __future__ import annotations

import argparse
import json

from pcdet_poly.commands.options import parse_local_path
from pcdet_poly.commands.parser import CommandParser
from pcdet_poly.names.shown_names import print_lines


def add_arguments(parser: CommandParser) -> None:
    """Add the options of `pcdet-poly reference`."""
    parser.add_argument("files", metavar="FILE", nargs="+", type=parse_local_path, help="reference file, .npz")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Check every file, print what was found; return 1 if an output differs."""
    from pcdet_poly.experiments.reference.check_files import check_files, describe_file, describe_total, to_json

    checked = []
    for file in check_files(options.files):
        checked.append(file)
        if not options.json:
            print_lines(*describe_file(file))
    text = json.dumps([to_json(file) for file in checked], indent=2) if options.json else describe_total(checked)
    print_lines(*text.split("\n"))
    return 0 if all(file.holds for file in checked) else 1
