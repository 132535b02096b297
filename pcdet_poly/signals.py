"""Ctrl-C that waits until it does no harm."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopRequest:
    """The answer to whether somebody asked to stop."""

    asked = False

    def raise_if_asked(self) -> None:
        """Raise KeyboardInterrupt if somebody asked: Python drops the one that a signal raises inside a __del__."""
        if self.asked:
            raise KeyboardInterrupt


@contextmanager
def catch_stop_signals(*, at_once: bool = True) -> Iterator[StopRequest]:
    """Note SIGINT and SIGTERM (a scheduler that wants the machine back) inside, and raise KeyboardInterrupt for them.

    Args:
        at_once: raise where the signal arrives; otherwise it is noted only, for processes that must agree when to stop.

    Yields:
        Whether somebody asked to stop.
    """
    stop = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield stop  # only the main thread may set handlers, and only it gets signals
        return

    def note(signum: int, frame: FrameType | None) -> None:
        stop.asked = True
        if at_once:
            raise KeyboardInterrupt

    before = {signum: signal.signal(signum, note) for signum in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


@contextmanager
def hold_stop_signals() -> Iterator[None]:
    """Hold SIGINT and SIGTERM back until the block ends, so that a model is never left between two steps.

    A process that is forked inside keeps holding SIGINT back for good.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[int] = []

    def hold(signum: int, frame: FrameType | None) -> None:
        held.append(signum)

    before = {signum: signal.signal(signum, hold) for signum in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
        if held:
            signal.raise_signal(held[0])
