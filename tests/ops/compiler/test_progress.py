"""The line that says that kernels are being compiled."""

from __future__ import annotations

import io

import pytest

from pcdet_poly.ops.compiler.first_use import show_compilation
from pcdet_poly.ops.compiler.progress import CompilationProgress
from tests.ops.compiler.conftest import SmallPackage


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_is_shown_at_the_beginning_and_at_the_end(
    small_package: SmallPackage, capsys: pytest.CaptureFixture[str]
) -> None:
    kernels = small_package.load()
    with show_compilation("small_package"), show_compilation("small_package.caller"):
        for kernel in kernels.values():
            kernel(5)
            kernel(0.5)  # further types of arguments are no further kernels
    line = "compiling kernels, once per machine:"
    assert capsys.readouterr().err == f"{line} 0 of 6\n{line} 6 of 6\n"


def test_counts_only_what_is_not_on_disk(small_package: SmallPackage, capsys: pytest.CaptureFixture[str]) -> None:
    small_package.compile()
    small_package.edit("callee.py", "    return x\n", "    return x + 1\n")
    small_package.load()
    with show_compilation("small_package"):
        small_package.compile()
    assert "0 of 1\n" in capsys.readouterr().err


def test_nothing_is_said_if_all_comes_from_disk(
    small_package: SmallPackage, capsys: pytest.CaptureFixture[str]
) -> None:
    small_package.compile()
    small_package.load()
    with show_compilation("small_package"):
        small_package.compile()
    assert capsys.readouterr().err == ""


def test_a_terminal_shows_every_kernel_on_one_line(small_package: SmallPackage) -> None:
    terminal = Terminal()
    progress = CompilationProgress(2, terminal)
    for kernel in small_package.load().values():
        progress.begin(kernel)
        progress.finish(kernel)
    progress.close()
    shown = terminal.getvalue()
    assert shown.count("\n") == 1
    assert shown.endswith("\n")
    counts = [text.split(": ")[1] for text in shown.strip().split("\r") if text]
    assert counts[:3] == ["0 of 2", "1 of 2", "2 of 2"]
    assert counts[-1] == "6 of 6"  # four more than expected
