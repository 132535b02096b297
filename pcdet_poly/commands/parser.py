"""The parser of every command: help on one screen, and mistakes as one line with the nearest right word."""

from __future__ import annotations

import argparse
import re
import shutil
from collections.abc import Sequence
from typing import Any, NoReturn

from pcdet_poly.errors import UserError, suggest_word

_EXAMPLE = "Example:"
_WIDEST = 110
_SETTING = re.compile(r"--?([A-Za-z_]\w*(\.\w+)+=.*)")


class CommandParser(argparse.ArgumentParser):
    """A parser whose mistakes are `UserError`s and whose help shows defaults and an example."""

    @classmethod
    def from_docstring(cls, prog: str, docstring: str) -> CommandParser:
        """Make the parser of the command `prog`. The docstring's lines after "Example:" end its help."""
        description, _, example = docstring.partition(_EXAMPLE)
        epilog = f"{_EXAMPLE.lower()}\n  {example.strip()}" if example else None
        return cls(prog=prog, description=description.strip(), epilog=epilog, formatter_class=_HelpFormatter)

    def read_words(self, words: Sequence[str]) -> argparse.Namespace:
        """Parse `words`; options and other words may stand in any order. Raises UserError for a mistake."""
        if {"-h", "--help"} & set(words):  # argparse hides positional arguments while it reads mixed words
            self.print_help()
            raise SystemExit(0)
        options, unread = self.parse_known_intermixed_args(list(words))
        if unread:
            raise UserError(self._describe_unread(next((word for word in unread if word.startswith("-")), unread[0])))
        return options

    def format_help(self) -> str:
        """Return the help, with a usage line that names what must be given and no more."""
        formatter = self._get_formatter()
        words = [self.prog]
        for action in self._get_positional_actions():
            words.append(formatter._format_args(action, action.dest))
        for action in self._get_optional_actions():
            if action.required:
                words.append(f"{action.option_strings[0]} {formatter._format_args(action, action.dest)}")
        self.usage = " ".join([*words, "[options]"]).replace("%", "%%")
        return super().format_help()

    def error(self, message: str) -> NoReturn:
        """Raise `message` as a UserError. For a wrong choice, it names the nearest right one."""
        nearest = ""
        if found := re.search(r"invalid choice: '?([^']*)'? \(choose from (.*)\)", message):
            nearest = suggest_word(found[1], [choice.strip(" '") for choice in found[2].split(",")])
        if not nearest and "; did you mean" not in message:
            nearest = f"; see {self.prog} -h"
        raise UserError(message.removeprefix("argument ") + nearest)

    def _get_value(self, action: argparse.Action, arg_string: str) -> Any:
        """Return what a word means; a `UserError` of the argument's type keeps its text, which argparse would drop."""
        try:
            return super()._get_value(action, arg_string)
        except argparse.ArgumentError as error:
            if isinstance(error.__context__, UserError):
                raise error.__context__ from None
            raise

    def _describe_unread(self, word: str) -> str:
        """Say what is wrong with a word that no argument takes."""
        if setting := _SETTING.fullmatch(word):
            return f"{word}: no such option; settings are written without dashes: {setting[1]}"
        if not word.startswith("-"):
            return f"{word}: one word too many; see {self.prog} -h"
        option = word.partition("=")[0]
        known = [name for name in self._option_string_actions if name.startswith("--")]
        return f"{option}: no such option{suggest_word(option, known) or f'; see {self.prog} -h'}"


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Lines as wide as the terminal, options in one column, and the default of each where its help does not say."""

    def __init__(self, prog: str) -> None:
        width = min(shutil.get_terminal_size().columns, _WIDEST)
        super().__init__(prog, max_help_position=30, width=width)

    def _get_help_string(self, action: argparse.Action) -> str:
        text = action.help or ""
        default: Any = action.default
        if "default" in text or default in (None, False, [], argparse.SUPPRESS) or not action.option_strings:
            return text
        return f"{text} (default: {default})".lstrip().replace("%", "%%") if "%" not in text else text
