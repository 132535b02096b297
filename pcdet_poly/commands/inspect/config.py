"""Show the settings of a config, list or copy our configs, or print the JSON schema of config files.

show CONFIG         every setting of a config, with its value and where it came from
list                the names of our configs and sweeps
copy CONFIG [FILE]  one of our configs as a file of your own (default: in this folder)
schema              the JSON schema of config files, with which editors complete and check the YAML

Example: pcdet-poly config show quick train.epochs=4
"""

from __future__ import annotations

import argparse
import sys

from pcdet_poly.commands.file_kinds import CONFIG
from pcdet_poly.commands.options import add_overrides, add_plugin, parse_local_path, parse_path_or_url
from pcdet_poly.commands.parser import CommandParser
from pcdet_poly.config.find import find_config, list_configs
from pcdet_poly.errors import UserError
from pcdet_poly.names.shown_names import print_line, print_lines


def add_arguments(parser: CommandParser) -> None:
    """Add the arguments of `pcdet-poly config`."""
    parser.add_argument("what", choices=("show", "list", "copy", "schema"), help="what to print")
    parser.add_argument(
        "config", metavar="CONFIG", nargs="?", type=parse_path_or_url, help="for show and copy: YAML file, or a name"
    )
    add_overrides(parser, "for show: settings that win over the file; for copy: FILE")
    add_plugin(parser)


def run(options: argparse.Namespace) -> None:
    """Print what was asked for."""
    needs_config = options.what in ("show", "copy")
    if needs_config != (options.config is not None):
        needed = "CONFIG is needed: name a YAML file" if needs_config else "takes no further words"
        raise UserError(f"config {options.what}: {needed}; see pcdet-poly config -h")
    if options.what == "list":
        print_lines(*list_configs())
        return
    if options.what == "copy":
        _copy(options.config, options.overrides)
        return
    from pcdet_poly.config.explain import explain
    from pcdet_poly.config.load import build_config, build_json_schema, read_settings

    if options.what == "schema":
        sys.stdout.write(build_json_schema())
        return
    settings = read_settings(find_config(options.config), options.overrides)
    print_lines(*explain(build_config(settings), settings).split("\n"))


def _copy(name: str, targets: list[str]) -> None:
    """Copy a config to the file that `targets` holds, or into the working folder."""
    if len(targets) > 1:
        raise UserError(f"config copy: {targets[1]!r}: one FILE at most; see pcdet-poly config -h")
    from pcdet_poly.config.copy import copy_config

    target = parse_local_path(targets[0]) if targets else None
    print_line(copy_config(name, target if target is None or target.is_dir() else CONFIG(targets[0])))
