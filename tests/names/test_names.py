"""Whatever somebody calls a segment, a run or a class: its file is one file, and its name is shown, not obeyed."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from urllib.parse import quote

import pytest
from matplotlib.figure import Figure

from pcdet_poly.figure_files import save_figure
from pcdet_poly.names.file_names import check_file_name, encode_file_name, simplify_file_name
from pcdet_poly.names.shown_names import escape_for_terminal

HOSTILE = [
    "",
    ".",
    "..",
    "...",
    ".hidden",
    "../up",
    "/etc/passwd",
    "a/b",
    "a\\b",
    "nul\x00",
    "NUL",
    "con.txt",
    "COM1",
    "a:b",
    "x" * 300,
    "x" * 299 + "y",
    "中" * 100,
    unicodedata.normalize("NFC", "é"),
    unicodedata.normalize("NFD", "é"),
    "tail.",
    "tail ",
    "%2E",
    "\x1b[31mred",
    "[bold]no markup[/bold]",
    "$x^2$",
    "\udcff",
    "a\nb",
    "segment-10203656353524179475_7625_000_7645_000_with_camera_labels",
]


def test_every_name_gets_a_file_of_its_own_in_the_folder(tmp_path: Path) -> None:
    files = [encode_file_name(name) for name in HOSTILE]
    assert len({file.casefold() for file in files}) == len(HOSTILE)
    for file in files:
        (tmp_path / f"{file}.zip").write_text("")
        assert file.isascii()
        assert not file.startswith(".")
    assert {path.name for path in tmp_path.iterdir()} == {f"{file}.zip" for file in files}


def test_ordinary_names_stay_as_they_always_were() -> None:
    for name in ("segment-10203656353524179475_7625_000", "scene 1", "a+b", "x.y", "Å"):
        assert encode_file_name(name) == quote(name, safe="")


@pytest.mark.parametrize("name", HOSTILE)
def test_a_readable_name_is_one_of_the_folder(name: str, tmp_path: Path) -> None:
    simple = simplify_file_name(name)
    (tmp_path / simple).mkdir()
    assert [path.name for path in tmp_path.iterdir()] == [simple]
    assert not simple.startswith(".")


def test_names_that_not_every_system_takes_are_refused() -> None:
    taken = []
    for name in HOSTILE:
        try:
            check_file_name(name)
        except ValueError:
            continue
        taken.append(name)
    assert taken == [
        unicodedata.normalize("NFC", "é"),
        unicodedata.normalize("NFD", "é"),
        "%2E",
        "$x^2$",
        "segment-10203656353524179475_7625_000_7645_000_with_camera_labels",
    ]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_terminal_gets_one_line_that_it_does_not_obey(name: str) -> None:
    shown = escape_for_terminal(name)
    shown.encode()  # without halves of characters
    assert not any(unicodedata.category(letter) == "Cc" for letter in shown)
    assert len(shown.splitlines()) <= 1


def test_escape_for_terminal_keeps_what_is_harmless() -> None:
    assert escape_for_terminal("Größe 中 [bold] $x$") == "Größe 中 [bold] $x$"
    assert escape_for_terminal("a\x1b[2Jb\u202ec\n\udcff") == "a\\x1b[2Jb\\u202ec\\n\\udcff"


def test_a_figure_draws_no_formula_of_names(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    """Half a formula would be an error of matplotlib's, a whole one another name; numbers at ticks stay formulas."""
    for name in [*HOSTILE, "$\\frac$", "\\$", "$"]:
        figure = Figure()
        axes = figure.subplots()
        axes.set_axis_off()  # ticks are most of the time
        axes.set_title(name)
        axes.plot([1, 2], label=name or "-")
        axes.annotate(name, (1, 1))
        figure.suptitle(name)
        axes.legend()
        save_figure(figure, tmp_path / "a.png")
    axes.set_axis_on()
    axes.set(xscale="log", xlim=(1, 1000))
    save_figure(figure, tmp_path / "a.png")
    assert [str(warning.message) for warning in recwarn] == []
    assert all(label._preprocess_math(label.get_text())[1] for label in axes.get_xticklabels() if label.get_text())
    assert axes.get_legend().get_texts()[-1]._preprocess_math("$x^2$") == ("$x^2$", False)
