"""The argument CONFIG and the options that go with it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from pcdet_poly.commands.options import add_overrides, add_plugin, parse_path_or_url
from pcdet_poly.config.find import find_config
from pcdet_poly.names.shown_names import print_lines

if TYPE_CHECKING:
    from pcdet_poly.config.schema import Config


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add CONFIG, key=value overrides, --explain and --plugin."""
    parser.add_argument(
        "config", metavar="CONFIG", type=parse_path_or_url, help="YAML file, or the name of one of ours: quick"
    )
    add_overrides(parser, "settings that win over the file: train.batch_size=2")
    parser.add_argument("--explain", action="store_true", help="print every setting and where it came from, then exit")
    add_plugin(parser)


def read_config(options: argparse.Namespace) -> Config:
    """Return the Config that the options name. With --explain, print it and end the program with 0."""
    from pcdet_poly.config.explain import explain
    from pcdet_poly.config.load import build_config, read_settings

    settings = read_settings(find_config(options.config), options.overrides)
    config = build_config(settings)
    if options.explain:
        print_lines(*explain(config, settings).split("\n"))
        raise SystemExit(0)
    return config
