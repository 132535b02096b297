"""Show the settings of a config, the configs that come with the project, or the JSON schema of config files.

show CONFIG    every setting of a config, with its value and where it came from
list           the names of our configs
schema         the JSON schema of config files, with which editors complete and check the YAML

Example: pcdet-poly config show quick train.epochs=4
"""

from __future__ import annotations

import argparse
import sys

from pcdet_poly.commands.configs import find_config, list_configs
from pcdet_poly.commands.options import add_overrides, add_plugin, parse_path_or_url
from pcdet_poly.commands.parser import CommandParser
from pcdet_poly.errors import UserError


def add_arguments(parser: CommandParser) -> None:
    """Add the arguments of `pcdet-poly config`."""
    parser.add_argument("what", choices=("show", "list", "schema"), help="what to print")
    parser.add_argument(
        "config", metavar="CONFIG", nargs="?", type=parse_path_or_url, help="for show: YAML file, or a name"
    )
    add_overrides(parser, "for show: settings that win over the file: train.batch_size=2")
    add_plugin(parser)


def run(options: argparse.Namespace) -> None:
    """Print what was asked for."""
    if (options.what == "show") != (options.config is not None):
        needed = "CONFIG is needed: name a YAML file" if options.what == "show" else "takes no further words"
        raise UserError(f"config {options.what}: {needed}; see pcdet-poly config -h")
    if options.what == "list":
        print(*list_configs(), sep="\n")
        return
    from pcdet_poly.config.explain import explain
    from pcdet_poly.config.load import build_config, build_json_schema, read_settings

    if options.what == "schema":
        sys.stdout.write(build_json_schema())
        return
    settings = read_settings(find_config(options.config), options.overrides)
    print(explain(build_config(settings), settings))
