"""The config part of a command line: CONFIG, key=value overrides, --explain."""

from __future__ import annotations

import argparse

from pcdet_poly.config.explain import explain
from pcdet_poly.config.load import build_config, read_settings
from pcdet_poly.config.schema import Config


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """Add CONFIG, overrides and --explain to `parser`."""
    parser.add_argument("config", metavar="CONFIG", help="YAML file, for example configs/quick.yaml")
    parser.add_argument(
        "overrides", metavar="key=value", nargs="*", help="settings that win over the file: train.batch_size=2"
    )
    parser.add_argument("--explain", action="store_true", help="print every setting and where it came from, then exit")


def config_from(arguments: argparse.Namespace) -> Config:
    """The Config that the arguments name. With --explain: print it and end the program with 0."""
    settings = read_settings(arguments.config, arguments.overrides)
    config = build_config(settings)
    if arguments.explain:
        print(explain(config, settings))
        raise SystemExit(0)
    return config
