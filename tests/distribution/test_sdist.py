"""The source distribution holds what `make test` needs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.distribution.run_python import run_python

pytestmark = pytest.mark.slow


def list_sources(folder: Path) -> set[str]:
    tops = ("configs", "tests", "pcdet_poly", "docs", "benchmarks", "data_tools", "examples")
    files = {path for top in tops for path in (folder / top).rglob("*") if path.is_file()}
    names = {path.relative_to(folder).as_posix() for path in files if "__pycache__" not in path.parts}
    return names | {path.name for path in folder.iterdir() if path.is_file() and path.suffix in (".py", ".txt", ".md")}


def test_nothing_that_a_test_may_need_is_missing(sources: Path, sdist: Path) -> None:
    assert list_sources(sources) - list_sources(sdist) == set()
    assert (sdist / "Makefile").is_file()


def test_its_tests_are_found_and_some_pass_there(sources: Path, sdist: Path) -> None:
    # The same bytes make the same tests, and a file that pytest cannot import ends it with an error.
    changed = [name for name in list_sources(sources) if (sources / name).read_bytes() != (sdist / name).read_bytes()]
    assert changed == []
    # In the unpacked folder `tests` and `pcdet_poly` are its own: pytest puts its root first on the path.
    words = ("tests/config", "tests/test_floors.py", "tests/test_files.py", "-k", "test_load.py or test_files.py")
    summary = run_python("-m", "pytest", *words, cwd=sdist)
    found = re.search(r"(\d+) passed, (?:\d+ skipped, )?(\d+) deselected", summary)
    assert found, summary
    assert min(map(int, found.groups())) > 50
