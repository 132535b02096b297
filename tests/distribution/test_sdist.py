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
    # In the unpacked folder `tests` and `pcdet_poly` are its own: pytest puts its root first on the path.
    collect = ("-m", "pytest", "--collect-only", "tests/config", "tests/test_floors.py")
    count = re.compile(r"^tests/\S+: \d+$", re.MULTILINE)
    found, wanted = (count.findall(run_python(*collect, "-q", cwd=folder)) for folder in (sdist, sources))
    assert found == wanted != []
    run_python("-m", "pytest", "-q", "tests/config/test_load.py", "tests/test_files.py", cwd=sdist)
