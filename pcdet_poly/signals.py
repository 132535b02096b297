"""Ctrl-C that waits until it does no harm."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


def list_stop_signals() -> tuple[signal.Signals, ...]:
    """List the signals that ask to stop: SIGINT, SIGTERM, and SIGHUP (the terminal is gone) unless nohup ignores it."""
    hangs_up = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
    return (signal.SIGINT, signal.SIGTERM, *((signal.SIGHUP,) if hangs_up else ()))


class StopRequest:
    """The answer to whether somebody asked to stop."""

    def __init__(self, *, asked: bool = False) -> None:
        self.asked = asked

    def raise_if_asked(self) -> None:
        """Raise KeyboardInterrupt if somebody asked: Python drops the one that a signal raises inside a __del__."""
        if self.asked:
            raise KeyboardInterrupt


_open_requests: list[StopRequest] = []  # of the blocks of `catch_stop_signals` that are running, the outermost first


@contextmanager
def catch_stop_signals(*, at_once: bool = True) -> Iterator[StopRequest]:
    """Note SIGINT, SIGTERM (a scheduler wants to stop us) and SIGHUP inside, and raise KeyboardInterrupt for them.

    Only the first signal raises: whoever presses Ctrl-C twice, or is sent a second signal by the program that started
    this one, does not interrupt the saving that the first one began. A block inside another one knows what the outer
    one was asked before.

    Args:
        at_once: raise where the signal arrives; otherwise it is noted only, for processes that must agree when to stop.

    Yields:
        Whether somebody asked to stop.
    """
    stop = StopRequest(asked=any(request.asked for request in _open_requests))
    if threading.current_thread() is not threading.main_thread():
        yield stop  # only the main thread may set handlers, and only it gets signals
        return

    def note(signum: int, frame: FrameType | None) -> None:
        is_first = not stop.asked
        for request in _open_requests:
            request.asked = True
        if at_once and is_first:
            raise KeyboardInterrupt

    _open_requests.append(stop)
    before = {signum: signal.signal(signum, note) for signum in list_stop_signals()}
    try:
        yield stop
    finally:
        for signum, handler in before.items():
            if signal.getsignal(signum) is note:  # not where signals are ignored by now
                signal.signal(signum, handler)
        _open_requests.remove(stop)


@contextmanager
def hold_stop_signals() -> Iterator[None]:
    """Hold SIGINT, SIGTERM and SIGHUP back until the block ends, so that a model is never left between two steps.

    A process that is forked inside keeps holding SIGINT back for good.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[int] = []

    def hold(signum: int, frame: FrameType | None) -> None:
        held.append(signum)

    before = {signum: signal.signal(signum, hold) for signum in list_stop_signals()}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
        if held:
            signal.raise_signal(held[0])


def ignore_stop_signals() -> None:
    """Ignore SIGINT, SIGTERM and SIGHUP from now on, for a process that has nothing left to do but to end."""
    if threading.current_thread() is threading.main_thread():
        for signum in list_stop_signals():
            signal.signal(signum, signal.SIG_IGN)
