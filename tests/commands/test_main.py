"""The program `pcdet-poly`: its table, its help, its completion, and the options that commands share."""

from __future__ import annotations

import argparse
import ast
import io
import re
import subprocess
import sys
from pathlib import Path

import pytest

import pcdet_poly
from pcdet_poly.commands.detectors.demo import list_data_steps, list_training_steps, run_step
from pcdet_poly.commands.inspect.completion import build_parser
from pcdet_poly.commands.main import main, print_any_name
from pcdet_poly.commands.options import parse_local_path, split_overrides, split_run
from pcdet_poly.commands.parser import CommandParser
from pcdet_poly.commands.table import COMMANDS, GROUPS, HIDDEN
from pcdet_poly.config.find import find_config, list_configs
from pcdet_poly.errors import UserError

PACKAGE = Path(pcdet_poly.__file__).parent
SCREEN_LINES = 40
SHARED = {
    "--output",
    "--workers",
    "--device",
    "--seed",
    "--checkpoint",
    "--min-score",
    "--data",
    "--frames",
    "--picture-format",
}


def read_options(name: str) -> CommandParser:
    parser = CommandParser.from_docstring(f"pcdet-poly {name}", "")
    COMMANDS[name].load().add_arguments(parser)
    return parser


def test_every_command_is_shown_once_and_has_a_module_of_its_own() -> None:
    shown = [command.name for group in GROUPS.values() for command in group]
    assert len(shown) == len(set(shown)) == len(COMMANDS) - len(HIDDEN) >= 21
    assert len({command.module for command in COMMANDS.values()}) == len(COMMANDS)


def test_the_page_lists_every_command_as_the_program_does() -> None:
    page = (PACKAGE.parent / "docs/commands.md").read_text("utf-8")
    rows = re.findall(r"^\| `([a-z-]+)` \| (.*?) \|", page, flags=re.MULTILINE)
    assert rows == [(command.name, command.help) for group in GROUPS for command in GROUPS[group]]


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_one_screen_with_an_example(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    text = capsys.readouterr().out
    assert ended.value.code == 0
    assert len(text.splitlines()) <= SCREEN_LINES
    assert text.startswith(f"usage: pcdet-poly {name} ")
    *_, heading, example = text.rstrip().splitlines()
    assert heading == "example:"
    assert example.startswith(f"  pcdet-poly {name} ")


@pytest.mark.parametrize("name", COMMANDS)
def test_options_are_lower_case_words_and_shared_ones_come_first(name: str) -> None:
    for action in read_options(name)._actions:
        for option in action.option_strings[2:]:
            assert option not in SHARED, f"{option} is another command's own spelling"
        if action.option_strings and action.dest in {one.removeprefix("--").replace("-", "_") for one in SHARED}:
            assert action.option_strings[0] in SHARED


def test_the_list_of_commands_loads_little_and_nothing_heavy() -> None:
    code = (
        "import sys; from pcdet_poly.commands.main import main; main(['-h']); "
        "heavy = {'torch', 'numba', 'numpy', 'pydantic', 'rich', 'yaml'} & set(sys.modules); "
        "assert not heavy, heavy; print(len(sys.modules))"
    )
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, cwd=PACKAGE.parent, capture_output=True, text=True, check=True)
    assert int(done.stdout.split()[-1]) < 200  # modules: a clock would measure the machine


def test_nothing_else_in_the_package_has_a_main() -> None:
    owners = [
        str(path.relative_to(PACKAGE))
        for path in sorted(PACKAGE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name == "main"
    ]
    # Waymo's op runs in an environment of its own, which has nothing of ours.
    assert [owner for owner in owners if not owner.startswith("evaluation/waymo_op")] == ["commands/main.py"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_every_command(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert [name for name in COMMANDS if name != "trial" and name not in script] == []
    assert "device" in script


def test_bash_completes_commands_and_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "bash"]) == 0
    script = tmp_path / "completion.sh"
    script.write_text(capsys.readouterr().out)
    ask = (
        f"source {script}; function_name=$(complete -p pcdet-poly | sed 's/.*-F \\([^ ]*\\).*/\\1/'); "
        "COMP_WORDS=(pcdet-poly tr); COMP_CWORD=1; $function_name; echo ${COMPREPLY[@]}; "
        "COMP_WORDS=(pcdet-poly train --dev); COMP_CWORD=2; $function_name; echo ${COMPREPLY[@]}"
    )
    done = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["train", "--device"]


def test_the_parser_of_all_commands_has_their_options() -> None:
    (choices,) = [action.choices for action in build_parser()._actions if action.choices]
    assert set(choices) == COMMANDS.keys() - {"trial"}


def test_configs_are_found_by_path_by_name_and_in_that_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "quick" in list_configs()
    assert find_config("quick").name == "quick.yaml"
    assert find_config("configs/quick.yaml") == find_config("quick.yaml") == find_config("quick")
    assert find_config("configs/sweeps/mini.yaml", "sweeps").parent.name == "sweeps"
    (tmp_path / "quick.yaml").touch()
    assert find_config("quick.yaml") == Path("quick.yaml")


def test_home_is_written_as_a_tilde(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert parse_local_path("~/a") == tmp_path / "a"
    (tmp_path / "own.yaml").touch()
    assert find_config("~/own.yaml") == tmp_path / "own.yaml"


def test_overrides_behind_a_list_of_stores_are_overrides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.part=1").mkdir()  # a store may be called so
    words = ["stores/a", "decode.score=0.2", "data.part=1", "split=train/b"]
    assert split_overrides(words) == (["stores/a", "data.part=1", "split=train/b"], ["decode.score=0.2"])


def test_a_checkpoint_stands_for_its_run(world: Path) -> None:
    checkpoint = world / "runs/tiny/checkpoints/step_00000004.pt"
    assert split_run(checkpoint, "last") == (world / "runs/tiny", str(checkpoint))
    assert split_run(world / "runs/tiny", "best") == (world / "runs/tiny", "best")
    with pytest.raises(UserError, match="not in the checkpoints/ of a run"):
        split_run(world / "junk.pth", "last")


def test_the_demo_is_four_commands_that_exist() -> None:
    steps = list_data_steps(Path("demo"), 2) + list_training_steps(Path("demo"), "auto")
    assert [step[0] for step in steps] == ["simulate", "simulate", "preprocess", "preprocess", "train", "test"]
    assert not any(word.startswith("data.") for step in steps for word in step)  # quick.yaml names these folders
    train, test = list_training_steps(Path("demo"), "cpu", seed=2)
    assert train[-5:] == ["train.seed=2", "--name", "quick_seed2", "--device", "cpu"]
    assert test[:2] == ["test", "demo/runs/quick_seed2"]
    elsewhere = list_training_steps(Path("other"), "cpu")[0]
    assert 'data.train=["other/stores/training"]' in elsewhere
    for step in steps:
        read_options(step[0]).read_words(step[1:])


def test_a_step_of_the_demo_hands_its_exit_code_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(PACKAGE.parent))
    monkeypatch.chdir(tmp_path)
    assert run_step(["config", "list"]) == 0
    assert run_step(["check", "nowhere"]) == 2


def test_a_stream_that_cannot_write_a_name_spells_it_out(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    print_any_name()
    print("\udcff Größe")
    sys.stdout.flush()
    assert written.getvalue() == b"\\udcff Gr\\xf6\\xdfe\n"


def test_messages_name_commands_and_not_scripts() -> None:
    for path in PACKAGE.rglob("*.py"):
        assert not re.search(r"data_tools/|\b(train|test)\.py\b", path.read_text("utf-8")), path


@pytest.mark.parametrize("name", COMMANDS)
def test_a_fixed_word_with_a_letter_too_many_is_answered_with_the_right_one(name: str) -> None:
    parser = read_options(name)
    for action in parser._actions:
        for choice in [str(word) for word in action.choices or () if len(str(word)) > 1]:
            with pytest.raises(argparse.ArgumentError) as wrong:
                parser._check_value(action, choice + choice[-1])
            with pytest.raises(UserError, match=rf"; did you mean .*'{choice}'.*\?$"):
                parser.error(str(wrong.value))
