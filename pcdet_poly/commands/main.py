"""`pcdet-poly COMMAND ...`: finds the command, reads its words, runs it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import NoReturn

from pcdet_poly.commands.table import COMMANDS, GROUPS, HIDDEN
from pcdet_poly.errors import UserError, run_command, suggest_word
from pcdet_poly.malloc import keep_all_freed_memory
from pcdet_poly.signals import prepare_to_end
from pcdet_poly.version import __version__


def main(words: Sequence[str] | None = None) -> int:
    """Run `pcdet-poly` with `words`, by default those of the command line; returns the exit code."""
    _let_idle_threads_sleep()
    if words is not None:
        return run_command(lambda: dispatch(words))
    return _run_program(sys.argv[1:])


def exit_with(name: str) -> NoReturn:
    """Run the command `name` with the words of the command line, then end the program with its exit code."""
    _let_idle_threads_sleep()
    sys.exit(_run_program([name, *sys.argv[1:]]))


def _let_idle_threads_sleep() -> None:
    """Let idle OpenMP threads sleep instead of spinning. libgomp reads this once, when torch or numba loads it."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def print_any_name() -> None:
    """Let the standard streams spell out what they cannot write: bytes of file names that are no text, rare letters."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _run_program(words: Sequence[str]) -> int:
    """Run a command in a process that ends with it; returns its exit code."""
    print_any_name()
    if words and words[0] in COMMANDS and COMMANDS[words[0]].runs_networks:
        keep_all_freed_memory()
    code = run_command(lambda: dispatch(words))
    prepare_to_end(code)
    return code


def dispatch(words: Sequence[str]) -> int:
    """Run the command that `words` begin with. Raises UserError where there is no such command."""
    if not words or words[0] in ("-h", "--help", "help"):
        print(describe_commands())
        return 0
    if words[0] == "--version":
        print(f"pcdet-poly {__version__}")
        return 0
    return call_command(words[0], words[1:])


def call_command(name: str, words: Sequence[str]) -> int:
    """Run the command `name` with `words`; returns its exit code. Raises UserError for a mistake in `words`."""
    if name not in COMMANDS:
        what = "option" if name.startswith("-") else "command"
        shown = [command.name for group in GROUPS.values() for command in group]
        nearest = suggest_word(name, shown) or "; `pcdet-poly -h` lists the commands"
        raise UserError(f"{name}: no such {what}{nearest}")
    from pcdet_poly.commands.parser import CommandParser

    module = COMMANDS[name].load()
    parser = CommandParser.from_docstring(f"pcdet-poly {name}", module.__doc__ or "")
    module.add_arguments(parser)
    return module.run(parser.read_words(words)) or 0


def describe_commands() -> str:
    """Return what `pcdet-poly -h` prints: every command but the hidden ones, by group."""
    width = max(len(name) for name in COMMANDS.keys() - {command.name for command in HIDDEN})
    lines = ["usage: pcdet-poly COMMAND [options]", "", "LiDAR 3D detection on the Waymo Open Dataset, with PolyLoss."]
    for title, commands in GROUPS.items():
        lines += ["", f"{title}:", *(f"  {command.name:<{width}}  {command.help}" for command in commands)]
    return "\n".join([*lines, "", "`pcdet-poly COMMAND -h` shows a command's options and an example."])
