"""What a run of the tests says at its end."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from tests.conftest import pytest_terminal_summary


def list_closing_lines(*skipped: tuple[str, str]) -> list[str]:
    """List the lines after a run that skipped tests, each with its id and the reason."""
    lines: list[str] = []
    reports = [SimpleNamespace(nodeid=name, longrepr=("a.py", 1, reason)) for name, reason in skipped]
    reporter: Any = SimpleNamespace(stats={"skipped": reports} if reports else {}, write_line=lines.append)
    pytest_terminal_summary(reporter)
    return lines


def test_tests_that_a_browser_is_missing_for_are_named() -> None:
    reason = "Skipped: no Chromium on this machine to open the page in"
    (line,) = list_closing_lines(("tests/b.py::x", reason), ("tests/a.py::y[1]", reason), ("tests/a.py::z", "no GPU"))
    assert line.startswith("2 tests of pages and their accessibility were skipped")
    assert line.endswith("-m pytest tests/a.py tests/b.py")


def test_nothing_is_said_without_them() -> None:
    assert list_closing_lines() == list_closing_lines(("tests/a.py::z", "no GPU")) == []
