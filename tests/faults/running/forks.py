"""Commands in processes forked from this one, which has everything imported: a start takes milliseconds."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from pcdet_poly import signals
from pcdet_poly.commands.main import main

PATIENCE_S = 600.0
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def fork(work: Callable[[], int], *, said: int | None = None) -> int:
    """Do `work` in a new process, the first of a group of its own; its number.

    Args:
        work: what to do; returns the exit code.
        said: descriptor of a file for what it prints; None for nowhere.
    """
    child = os.fork()
    if not child:
        code = 1
        try:
            os.setpgid(0, 0)
            silence = os.open(os.devnull, os.O_RDWR)
            os.dup2(silence, 0)
            for descriptor in (1, 2):
                os.dup2(silence if said is None else said, descriptor)
            _start_anew()
            code = work()
        finally:
            os._exit(code)
    with contextlib.suppress(PermissionError):
        os.setpgid(child, child)  # whoever is first: the group must be there before it is killed
    return child


def _start_anew() -> None:
    """Be as a program that has just begun: nobody looks at its lines, and signals mean what they mean by themselves."""
    sys.settrace(None)
    signals._open_watch = None
    for signum in STOP_SIGNALS:
        signal.signal(signum, signal.default_int_handler if signum == signal.SIGINT else signal.SIG_DFL)


def wait(child: int) -> int:
    """Wait for a process, which is killed if it takes too long; its exit code, or minus the signal that ended it."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            os.killpg(child, signal.SIGKILL)
        time.sleep(0.005)


class ForkedProgram:
    """Stands for `subprocess.Popen` of our own program, `python -m pcdet_poly WORDS`."""

    def __init__(self, command: Sequence[str], *, stdout: Any = None, stderr: Any = None, env: Any = None) -> None:
        words = list(command[command.index("pcdet_poly") + 1 :])
        self.returncode: int | None = None
        self.pid = os.fork()
        if not self.pid:
            code = 1
            try:
                os.setsid()
                _start_anew()
                for number, file in ((1, stdout), (2, stderr)):
                    if file is not None:
                        os.dup2(file.fileno(), number)
                sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))
                if env is not None:
                    os.environ.clear()
                    os.environ.update(env)
                code = main(words)
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)

    def poll(self) -> int | None:
        if self.returncode is None:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            self.returncode = os.waitstatus_to_exitcode(status) if ended else None
        return self.returncode

    def wait(self) -> int:
        while (code := self.poll()) is None:
            time.sleep(0.005)
        return code

    def send_signal(self, signum: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, signum)


@contextlib.contextmanager
def fork_programs(small_config: Path) -> Iterator[None]:
    """Let `sweep` and `demo` fork the programs that they start, and the demo be small: two segments, a tiny network."""
    demo = "pcdet_poly.commands.detectors.demo"
    with (
        patch("pcdet_poly.experiments.sweep.local_executor.start_apart", ForkedProgram),
        patch(f"{demo}.subprocess", SimpleNamespace(Popen=ForkedProgram)),
        patch(f"{demo}._PARTS", {"training": (1, 2, 1000), "validation": (1, 1, 20000)}),
        patch(f"{demo}.find_config", lambda name: small_config),
    ):
        yield
