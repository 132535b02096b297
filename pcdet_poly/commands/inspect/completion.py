"""Print the script with which a shell completes `pcdet-poly`: commands, options, choices, files.

bash: add `eval "$(pcdet-poly completion bash)"` to ~/.bashrc
zsh:  pcdet-poly completion zsh > FOLDER/_pcdet-poly, where FOLDER is one of $fpath
fish: pcdet-poly completion fish > ~/.config/fish/completions/pcdet-poly.fish

Example: pcdet-poly completion bash
"""

from __future__ import annotations

import argparse

from pcdet_poly.commands.file_kinds import FileKind
from pcdet_poly.commands.options import parse_local_path, parse_path_or_url
from pcdet_poly.commands.parser import CommandParser
from pcdet_poly.commands.table import COMMANDS, HIDDEN
from pcdet_poly.errors import UserError


def add_arguments(parser: CommandParser) -> None:
    """Add the argument of `pcdet-poly completion`."""
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="the shell to complete in")


def run(options: argparse.Namespace) -> None:
    """Print the script."""
    try:
        import shtab
    except ImportError:
        raise UserError("completion: shtab is not installed; run: pip install shtab") from None

    print(shtab.complete(build_parser(), options.shell))


def build_parser() -> CommandParser:
    """Return a parser of all commands at once; the program itself loads only the one that is called."""
    import shtab

    parser = CommandParser(prog="pcdet-poly")
    commands = parser.add_subparsers(dest="command", parser_class=CommandParser)
    for command in COMMANDS.values():
        if command not in HIDDEN:
            own = commands.add_parser(command.name, help=command.help, description=command.help)
            command.load().add_arguments(own)
            for action in own._actions:
                if action.type in (parse_local_path, parse_path_or_url) or isinstance(action.type, FileKind):
                    action.complete = shtab.FILE  # type: ignore[attr-defined]
    return parser
