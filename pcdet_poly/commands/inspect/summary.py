"""Count a detector's parameters by part, and the arithmetic and memory of its dense part; nothing is computed.

Example: pcdet-poly summary configs/quick.yaml model.head_width=64
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from pcdet_poly.commands.configs import add_config, read_config
from pcdet_poly.commands.parser import CommandParser
from pcdet_poly.names.shown_names import print_lines


def add_arguments(parser: CommandParser) -> None:
    """Add the options of `pcdet-poly summary`."""
    add_config(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> None:
    """Print the summary of one config."""
    config = read_config(options)
    from pcdet_poly.models.summary.model_size import format_summary, summarize

    summary = summarize(config)
    text = json.dumps(asdict(summary), indent=2) if options.json else format_summary(summary)
    print_lines(*text.split("\n"))
