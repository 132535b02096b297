"""The blocks of code on the documentation's pages, and the marks above them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "examples").rglob("*.md")),
    *sorted((ROOT / "benchmarks").rglob("*.md")),
]
# A block, and the line of its own before it, if that is a mark: *Needs eight GPUs:* or *Takes an hour:*.
_BLOCK = re.compile(r"(?:^\*(Needs|Takes) ([^*\n]+):\*\n\n)?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`]+)`")
_PROGRAMS = ("python", "pcdet-poly", "make", "torchrun", "pip", "tensorboard")
_PLACEHOLDER = re.compile(r"\.\.\.|<|\b(?:COMMAND|CONFIG|DIR|FILE|HOST|N|NAME|PYTHON|RUN|STORE|PREDICTIONS|LABELS)\b")


@dataclass(frozen=True)
class Block:
    """A block of code of a page."""

    page: Path
    language: str
    text: str
    mark: str | None  # what it needs or takes, where that stands above it

    @property
    def name(self) -> str:
        """Page and first line, for messages."""
        return f"{name_page(self.page)}: {self.text.splitlines()[0]}"


def name_page(page: Path) -> str:
    """Return a page's path in the project."""
    return page.relative_to(ROOT).as_posix()


def read_blocks(page: Path, language: str) -> list[Block]:
    """Return the blocks of a page that are in one language, in order."""
    found = _BLOCK.findall(page.read_text(encoding="utf-8"))
    blocks = [Block(page, name, text, needs or None) for _, needs, name, text in found]
    return [block for block in blocks if block.language == language]


def read_inline_commands(page: Path) -> list[str]:
    """Return the commands that stand between a page's words, but for those with a placeholder."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    commands = [command.split() for command in _INLINE.findall(text)]
    lines = [" ".join(words) for words in commands if len(words) > 1 and words[0] in _PROGRAMS]
    return [line for line in lines if not _PLACEHOLDER.search(line)]
