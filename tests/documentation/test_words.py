"""Every command in the documentation means the same in bash and zsh, and is one of ours with options that it has."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from pcdet_poly.commands.parser import CommandParser
from pcdet_poly.commands.table import COMMANDS
from pcdet_poly.config.find import find_config
from pcdet_poly.config.load import load_config
from tests.documentation.pages import PAGES, ROOT, name_page, read_blocks, read_inline_commands
from tests.documentation.shell_words import read_words

WITH_COMMANDS = [page for page in PAGES if read_blocks(page, "bash") or read_inline_commands(page)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What shells look up while they read the lines: an environment, files for patterns, folders for redirections."""
    for name in (".venv/bin/activate", "real_clouds/1.bin", ".zfunc/x", ".config/fish/completions/x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    program = tmp_path / "official/bin/pip"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return tmp_path


def read_page(page: Path) -> str:
    return "\n".join([*(block.text for block in read_blocks(page, "bash")), *read_inline_commands(page)])


def test_there_are_commands_on_many_pages() -> None:
    assert len(WITH_COMMANDS) >= 15
    assert len(read_blocks(ROOT / "README.md", "bash")) >= 10


@pytest.mark.parametrize("page", PAGES, ids=name_page)
def test_every_block_says_its_language(page: Path) -> None:
    assert read_blocks(page, "") == []


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=name_page)
def test_zsh_reads_the_words_that_bash_reads(page: Path, folder: Path) -> None:
    if shutil.which("zsh") is None:
        pytest.skip("zsh is not installed")
    words = read_words("zsh", read_page(page), folder)
    assert words == read_words("bash", read_page(page), folder)


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=name_page)
def test_every_command_exists_and_takes_these_words(page: Path, folder: Path) -> None:
    found = read_words("bash", read_page(page), folder)
    assert found
    for words in found:
        check_command(words)


def check_command(words: list[str]) -> None:
    """Fail where a command is none of ours, or does not take its words. Programs of others are not looked at."""
    if words[0] == "torchrun":  # torchrun --option value ... FILE words
        words = ["python", *words[next(i for i, word in enumerate(words) if word.endswith(".py")) :]]
    if words[0] == "make":
        assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE), words
    elif words[0] == "pcdet-poly":
        check_words(words[1], words[2:])
    elif words[:2] == ["python", "-m"] and words[2] == "pcdet_poly":
        check_words(words[3], words[4:])
    elif words[:2] == ["python", "-m"] and words[2].split(".")[0] in ("pcdet_poly", "benchmarks"):
        check_door(ROOT.joinpath(*words[2].split(".")), words[3:])
    elif words[0] == "python" and words[1] != "-m":
        check_door(ROOT / words[1], words[2:])


def check_door(path: Path, words: list[str]) -> None:
    """Check the words of a script, or of a module that is run."""
    files = [path, path.with_suffix(".py"), path / "__main__.py"]
    text = next(file for file in files if file.is_file()).read_text(encoding="utf-8")
    if door := re.search(r'exit_with\("([a-z-]+)"\)', text):
        check_words(door[1], words)
    else:
        assert [word for word in words if word.startswith("-") and f'"{word}"' not in text] == []


def check_words(name: str, words: list[str]) -> None:
    """Let the parser of a command read its words; settings must be those of the config."""
    if not words or name.startswith("-"):  # a command's name and no more, or `pcdet-poly -h`
        assert name in ("-h", "--version", *COMMANDS)
        return
    module = COMMANDS[name].load()
    parser = CommandParser.from_docstring(f"pcdet-poly {name}", "")
    module.add_arguments(parser)
    if "--plugin" in words:  # a reader's own package, which is not here
        assert "--plugin" in parser.format_help()
        place = words.index("--plugin")
        words = words[:place] + words[place + 2 :]
    if "-h" in words:
        return
    options = parser.read_words(words)
    # The example's two files lie beside its page.
    if name == "train" and options.config != "my_detector.yaml":
        load_config(find_config(options.config), options.overrides)
    if name == "sweep" and options.sweep != "sweep.yaml":
        find_config(options.sweep, "sweeps")
