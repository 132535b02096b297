"""Stops a piece of work in this process: at its k-th line, or at a moment by the clock."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import redirect_stderr
from dataclasses import dataclass, field
from io import StringIO
from types import CodeType, FrameType
from typing import Any

from pcdet_poly import errors
from pcdet_poly.errors import run_command

# Python looks at signals where functions begin and end, not between any two lines: those of the code that answers them
# are not interrupted, since that would be a signal inside a signal's handler.
_ANSWERING = ("pcdet_poly/signals/__init__.py", "pcdet_poly/errors.py")


@dataclass
class Ending:
    """What became of the work."""

    code: int
    said: str  # on stderr
    complaints: list[Any]  # of objects, to sys.unraisablehook
    line: str = "nowhere"  # where it was stopped
    num_lines: int = 0  # that were executed until then

    @property
    def was_stopped(self) -> bool:
        """Whether the line was reached."""
        return self.line != "nowhere"


@dataclass
class _LineCounter:
    """A trace function that sends a signal to this process when the k-th line is about to be executed."""

    k: int
    signum: int
    chosen: Callable[[CodeType], bool]
    count: int = 0
    line: str = "nowhere"
    is_inside: bool = field(default=False)

    def see_call(self, frame: FrameType, event: str, argument: Any) -> Any:
        self.is_inside = self.is_inside or frame.f_code is errors._run_until_error.__code__
        if not self.is_inside or frame.f_code.co_filename.endswith(_ANSWERING) or not self.chosen(frame.f_code):
            return None
        return self.see_line

    def see_line(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == "line":
            self.count += 1
            if self.count == self.k:
                self.line = f"{frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_name}"
                sys.settrace(None)
                signal.raise_signal(self.signum)
        return self.see_line


def stop_at_line(
    work: Callable[[], object],
    k: int,
    signum: int = signal.SIGTERM,
    chosen: Callable[[CodeType], bool] = lambda code: True,
) -> Ending:
    """Run `work` as a command, and stop it by `signum` before the k-th line of the code that is `chosen`."""
    counter = _LineCounter(k, signum, chosen)

    def do_traced() -> None:
        try:
            work()
        finally:
            sys.settrace(None)

    before = sys.gettrace()
    sys.settrace(counter.see_call)
    try:
        ending = _run(do_traced)
    finally:
        sys.settrace(before)
    ending.line, ending.num_lines = counter.line, counter.count
    return ending


def stop_after(work: Callable[[], object], delay_s: float, signum: int) -> Ending:
    """Run `work` as a command, and send `signum` to this process after `delay_s`, unless it has ended by then."""
    is_over, lock = threading.Event(), threading.Lock()

    def send() -> None:
        if not is_over.wait(delay_s):
            with lock:
                if not is_over.is_set():
                    os.kill(os.getpid(), signum)

    def do_timed() -> None:
        sender.start()
        try:
            work()
        finally:
            with lock:
                is_over.set()

    sender = threading.Thread(target=send)
    before = signal.signal(signum, lambda number, frame: None)  # a signal that comes late does no harm
    try:
        ending = _run(do_timed)
        sender.join()
    finally:
        signal.signal(signum, before)
    return ending


def _run(work: Callable[[], object]) -> Ending:
    complaints: list[Any] = []
    hook, sys.unraisablehook = sys.unraisablehook, lambda lost: complaints.append(f"{lost.exc_type} {lost.object}")
    try:
        with redirect_stderr(StringIO()) as said:
            code = run_command(lambda: work() and 0)
    finally:
        sys.unraisablehook = hook
    return Ending(code, said.getvalue(), complaints)
