"""What the README and the docs say exists: files, commands, options, imports."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(language: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
    return [text for name, text in found if name == language]


def commands() -> list[list[str]]:
    lines = [line.split("#")[0].strip() for block in blocks("") for line in block.splitlines()]
    return [shlex.split(line) for line in lines if line.startswith("python ")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text())
    missing = [target for target in targets if "://" not in target and not (page.parent / target).exists()]
    assert missing == []


def test_there_are_commands_to_check() -> None:
    assert len(commands()) >= 14


@pytest.mark.parametrize(
    "command", sorted({tuple(c[1:3] if c[1] == "-m" else c[1:2]) for c in commands()}), ids=" ".join
)
def test_every_command_has_the_options_the_readme_uses(command: tuple[str, ...]) -> None:
    shown = subprocess.run([sys.executable, *command, "--help"], cwd=ROOT, capture_output=True, text=True, check=True)
    used = {word for c in commands() if c[1 : 1 + len(command)] == list(command) for word in c if word.startswith("--")}
    assert [option for option in used if option not in shown.stdout] == []


@pytest.mark.parametrize("path", sorted({word for c in commands() for word in c if word.startswith("configs/")}))
def test_every_config_the_readme_names_exists(path: str) -> None:
    assert (ROOT / path).is_file()


def test_every_import_the_readme_shows_works() -> None:
    lines = [line for block in blocks("python") for line in block.splitlines() if "import" in line]
    assert lines
    subprocess.run([sys.executable, "-c", "\n".join(lines)], cwd=ROOT, check=True)
