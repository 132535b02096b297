"""CONTRIBUTING.md as data: its tables, and the files that it names."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text()
OTHER_FOLDERS = ("configs/", "docs/", "tests/", "benchmarks/", "data_tools/", "train.py", "test.py")
_PATH = re.compile(r"`((?:[\w<>.-]+/)+(?:[\w<>-]+\.(?:py|yaml|md))?|[\w<>-]+\.py)`")


def read_table(heading: str) -> list[list[str]]:
    """The cells of the rows of the table whose first row begins with `heading`."""
    table = PAGE.split(f"\n| {heading} |", 1)[1].split("\n\n", 1)[0]
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in table.splitlines()[2:]]


def list_paths(text: str) -> list[str]:
    """The files and folders that a text names in code quotes, relative to the project; they may hold `<name>`."""
    return [locate(path) for path in _PATH.findall(text)]


def locate(path: str) -> str:
    """A path of the page, relative to the project."""
    return path if path.startswith((*OTHER_FOLDERS, "pcdet_poly/")) else f"pcdet_poly/{path}"


def read_rows() -> dict[str, tuple[str, ...]]:
    """What can be added -> the files that the page says to touch."""
    return {what: tuple(list_paths(touch)) for what, touch, _ in read_table("to add")}
