"""Collect every labelled object of frame stores, with its points, in one file to paste into training frames.

Name it in a config as paste.bank. OpenPCDet's `20 %` pastes objects of all frames: leave --every at 1 for that.

Example: pcdet-poly build-bank stores/training --output objects.arrow --workers 8
"""

from __future__ import annotations

import argparse

from pcdet_poly.commands.file_kinds import BANK
from pcdet_poly.commands.options import add_output, add_workers, parse_path_or_url, parse_positive_int
from pcdet_poly.commands.parser import CommandParser
from pcdet_poly.names.shown_names import print_line


def add_arguments(parser: CommandParser) -> None:
    """Add the options of `pcdet-poly build-bank`."""
    parser.add_argument("stores", metavar="STORE", nargs="+", type=parse_path_or_url, help="folder of a frame store")
    add_output(parser, "the bank's file, for example objects.arrow", metavar="FILE", parse=BANK, required=True)
    parser.add_argument(
        "--every",
        metavar="N",
        type=parse_positive_int,
        default=1,
        help="look at every N-th frame of the concatenated list only",
    )
    add_workers(parser)


def run(options: argparse.Namespace) -> None:
    """Write the bank, and print what is in it."""
    from pcdet_poly.data.bank.build_bank import build_object_bank

    bank = build_object_bank(options.stores, options.output, every=options.every, workers=options.workers)
    label, num_points = bank.read_column("label"), bank.read_column("num_points")
    for i, name in enumerate(bank.header.class_names):
        of_class = label == i
        print_line(f"{name}: {of_class.sum()} objects, {num_points[of_class].sum()} points")
    print_line(f"{options.output}: {len(bank)} objects, {bank.path.stat().st_size / 1e6:.1f} MB")
