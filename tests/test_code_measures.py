"""The measures of docs/code_measures.md stay within its bounds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.measure_code import PACKAGE, Measures, count_frames_to_loss, format_table, measure

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "code_measures.md").read_text()


@pytest.fixture(scope="module")
def measures() -> Measures:
    """Those of the package."""
    return measure([PACKAGE])


def test_only_the_engine_is_a_large_folder(measures: Measures) -> None:
    assert {folder for folder, count in measures.files.items() if count > 15} <= {"pcdet_poly/engine"}


def test_functions_say_what_they_do(measures: Measures) -> None:
    assert measures.functions > 1000  # something was counted
    assert measures.with_verb / measures.functions >= 0.6


def test_every_parameter_is_described(measures: Measures) -> None:
    assert measures.public > 300
    assert measures.undocumented == []


def test_no_imports_go_in_circles(measures: Measures) -> None:
    assert measures.circles == []


def test_few_values_are_found_by_a_string(measures: Measures) -> None:
    assert 1000 * measures.string_subscripts / measures.lines <= 5


def test_epsilon_passes_few_frames() -> None:
    assert max(count_frames_to_loss().values()) <= 7


def test_the_page_has_every_measure_of_the_script(measures: Measures) -> None:
    measures.frames_to_loss = {"any": 7}
    told, printed = (
        re.findall(r"^\| ([a-zA-Z0-9, -]+) \|", text, flags=re.MULTILINE) for text in (PAGE, format_table(measures))
    )
    assert told == printed


def test_the_script_counts(tmp_path: Path) -> None:
    package = tmp_path / "pcdet_poly"
    package.mkdir()
    (package / "one.py").write_text("import pcdet_poly.two\n\ndef find(a, b, c):\n    '''Find.'''\n    return a['x']\n")
    (package / "two.py").write_text(
        "import pcdet_poly.one\n\ndef value(a, b, c):\n"
        '    """Value.\n\n    Args:\n        a: A.\n        b, c: B.\n    """\n'
    )
    found = measure([package], tmp_path)
    assert (found.functions, found.with_verb, found.public, found.documented) == (2, 1, 2, 1)
    assert (found.string_subscripts, found.files) == (1, {"pcdet_poly": 2})
    assert found.circles == ["pcdet_poly.one -> pcdet_poly.two"]
