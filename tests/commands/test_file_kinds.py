"""Files whose kind the end of their name tells: every command that writes one refuses other ends before it begins."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from pcdet_poly.commands.file_kinds import CONFIG, NETWORK, SUBMISSION, FileKind
from pcdet_poly.commands.inspect.completion import build_parser
from pcdet_poly.commands.main import main
from pcdet_poly.commands.options import parse_local_path
from pcdet_poly.errors import UserError
from tests.commands.test_wrong_uses import snapshot

# What is written, by command and option; {} is its name.
WRITTEN = {
    ("export", "--onnx"): "export runs/tiny --onnx {}",
    ("check", "--html"): "check store --html {}",
    ("preprocess", "--json"): "preprocess junk.tfrecord --output new --json {}",
    ("build-bank", "--output"): "build-bank store --output {}",
    ("view", "--html"): "view store --html {}",
    ("view", "--picture"): "view store --picture {}",
    ("view", "--rerun"): "view store --rerun {}",
    ("evaluate", "--output"): "evaluate detections.parquet labels.bin --output {}",
    ("submit", "--output"): "submit detections.parquet --output {}",
    ("compare-simulation", "--output"): "compare-simulation clouds/a.npy --output {}",
    ("draw-simulation", "--output"): "draw-simulation --output {}",
    ("gpu-check", "--output"): "gpu-check --dry-run --output {}",
    ("config", "copy"): "config copy quick {}",
}
WRONG = ("a.txt", "onnx", "a.onnx.part", "a.tar", "a.zip", "no_end")


def find_kinds() -> dict[tuple[str, str], FileKind]:
    """Every option that names a file to write, and `config copy`, which takes words."""
    (commands,) = [action.choices for action in build_parser()._actions if action.dest == "command"]
    found = {
        (name, action.option_strings[0]): action.type
        for name, parser in commands.items()
        for action in parser._actions
        if isinstance(action.type, FileKind)
    }
    return found | {("config", "copy"): CONFIG}


def test_every_option_that_names_a_file_to_write_has_its_kind() -> None:
    assert find_kinds().keys() == WRITTEN.keys()
    (commands,) = [action.choices for action in build_parser()._actions if action.dest == "command"]
    others = {
        (name, action.option_strings[0])
        for name, parser in commands.items()
        for action in parser._actions
        if action.metavar == "FILE" and action.type is parse_local_path and action.option_strings
    }
    assert others == set()


@pytest.mark.parametrize("option", WRITTEN, ids=" ".join)
def test_another_end_is_one_line_and_nothing_is_written(
    option: tuple[str, str], world: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(world)
    before, kind = snapshot(world), find_kinds()[option]
    for name in (*WRONG, *kind.endings):
        code = main(shlex.split(WRITTEN[option].format(name)))
        error = capfd.readouterr().err
        assert (code, error.count("\n")) == (2, 1), error
        assert error.startswith(f"error: {name}: {kind.what}; choose a name that ends in "), error
        assert all(ending in error for ending in kind.endings)
    assert snapshot(world) == before


def test_what_is_taken() -> None:
    for name in ("a.onnx", "a.b.ONNX", "../a/b.onnx", "/dev/null", "/dev/stdout"):
        assert NETWORK(name) == Path(name)
    assert SUBMISSION("a.TGZ") == Path("a.TGZ")
    assert SUBMISSION("x.tar.gz") == Path("x.tar.gz")
    assert CONFIG("a.yml") == Path("a.yml")


def test_a_folder_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").mkdir()
    with pytest.raises(IsADirectoryError):
        NETWORK(str(tmp_path / "a.onnx"))
    with pytest.raises(UserError, match=r"ends in \.bin, \.tar\.gz or \.tgz"):
        SUBMISSION(str(tmp_path / "b.gz"))
