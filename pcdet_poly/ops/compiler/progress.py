"""A line on stderr while kernels are compiled, which takes minutes on a machine's first use and no time later."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from numba.core.dispatcher import Dispatcher


class CompilationProgress:
    """How many kernels are compiled of those that must be.

    On a terminal the line is written over and over; elsewhere, such as in a log file, it is written at the
    beginning and at the end.
    """

    def __init__(self, num_expected: int, stream: TextIO) -> None:
        self._num_expected = num_expected
        self._stream = stream
        self._begun: set[Dispatcher] = set()
        self._compiled: set[Dispatcher] = set()

    def begin(self, kernel: Dispatcher) -> None:
        """Note that numba starts to compile `kernel`, for the first or for further types of arguments."""
        is_first = not self._begun
        self._begun.add(kernel)
        if is_first:
            self._write(end="" if self._stream.isatty() else "\n")

    def finish(self, kernel: Dispatcher) -> None:
        """Note that numba has compiled `kernel`."""
        if kernel in self._compiled:
            return
        self._compiled.add(kernel)
        if self._stream.isatty():
            self._write(end="")

    def close(self) -> None:
        """Write the last line, unless nothing was compiled."""
        if self._begun:
            self._write(end="\n")

    def _write(self, end: str) -> None:
        num_expected = max(self._num_expected, len(self._begun))
        start = "\r" if self._stream.isatty() else ""
        text = f"compiling kernels, once per machine: {len(self._compiled)} of {num_expected}"
        print(f"{start}{text}", end=end, file=self._stream, flush=True)


_shown: list[CompilationProgress] = []


@contextmanager
def show_progress(num_expected: int) -> Iterator[None]:
    """Say on stderr what is compiled inside the block, if anything is. A block inside another leaves that to the other.

    Args:
        num_expected: kernels that are likely to be compiled; if it turns out too small, it is counted up.
    """
    if _shown:
        yield
        return
    progress = CompilationProgress(num_expected, sys.stderr)
    _shown.append(progress)
    try:
        yield
    finally:
        _shown.remove(progress)
        progress.close()


def report_compiling(kernel: Dispatcher) -> None:
    """Tell the progress on show, if there is one, that a kernel is being compiled."""
    for progress in _shown:
        progress.begin(kernel)


def report_compiled(kernel: Dispatcher) -> None:
    """Tell the progress on show, if there is one, that a kernel has been compiled."""
    for progress in _shown:
        progress.finish(kernel)
