"""Signals that ask to stop: each command answers the first one, once and where it does no harm.

SIGINT (Ctrl-C), SIGTERM (a scheduler wants to stop us), SIGHUP (the terminal is gone) and, in Windows, SIGBREAK
(Ctrl-Break, and the console is closed) become one exception, `Stopped`, raised once in the main thread. What was
ignored before this program began, as nohup does, stays ignored.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum, auto
from types import FrameType
from typing import Any, NoReturn

_STOPPED = 128  # exit codes above it are of programs that a signal has stopped
_PATIENCE_S = 2.0  # a Ctrl-C that comes so long after the first one is a person's who no longer wants to wait
_AGAIN_S = 0.01  # after which a lost exception is raised again: a __del__ has most often ended by then
_IMPATIENT = b"still tidying up; press Ctrl-C once more to end at once\n"


class Stopped(KeyboardInterrupt):
    """Somebody asked to stop, by the signal `signum`. A note added to it is what the command says in the end."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


def find_signal(error: KeyboardInterrupt) -> signal.Signals:
    """Return the signal that an interruption came from: SIGINT for Python's own KeyboardInterrupt."""
    return signal.Signals(error.signum if isinstance(error, Stopped) else signal.SIGINT)


def list_stop_signals() -> tuple[signal.Signals, ...]:
    """List the signals that ask to stop, without those that are ignored."""
    names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")  # SIGHUP is unknown to Windows, SIGBREAK to all others
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    return tuple(signum for signum in numbers if signal.getsignal(signum) is not signal.SIG_IGN)


class StopRequest:
    """The answer to whether somebody asked to stop, and by which signal first."""

    def __init__(self) -> None:
        self.signum: int | None = None
        self._tell: Callable[[int], None] = lambda signum: None

    @property
    def asked(self) -> bool:
        """Whether somebody asked to stop."""
        return self.signum is not None

    def note(self, signum: int) -> None:
        """Note that somebody asked to stop by `signum`; of several signals the first counts."""
        if self.signum is None:
            self.signum = signum
            self._tell(signum)

    def pass_on(self, tell: Callable[[int], None]) -> None:
        """Call `tell` with the first signal, now or when it arrives: for a process that is waited for."""
        self._tell = tell
        if self.signum is not None:
            tell(self.signum)

    def raise_if_asked(self) -> None:
        """Raise Stopped if somebody asked to stop."""
        if self.signum is not None:
            if _open_watch and not _open_watch.is_raised:
                _open_watch.raise_now(self.signum)
            raise Stopped(self.signum)


class _Mode(Enum):
    """What a block does with a signal that arrives inside."""

    RAISE = auto()
    NOTE = auto()
    HOLD = auto()


class _Watch:
    """The answer to signals while at least one block is open; the blocks share it, the outermost one opens it."""

    def __init__(self) -> None:
        self.request = StopRequest()
        self.modes: list[_Mode] = []  # of the open blocks, the outermost first
        self.is_raised = False
        self.is_answered = False  # the exception has reached the end of the command
        self._raised: weakref.ref[Stopped] | None = None
        self._is_repeat = False
        self._first_s = 0.0
        self._closing = threading.Lock()
        self._before: dict[signal.Signals, Any] = {}
        self._hook_before: Any = None

    def open(self) -> None:
        self._hook_before, sys.unraisablehook = sys.unraisablehook, self._hush
        self._before = {signum: signal.getsignal(signum) for signum in list_stop_signals()}
        self.take_signals()

    def take_signals(self) -> None:
        for signum in self._before:
            signal.signal(signum, self._receive)

    def close(self) -> None:
        with self._closing:
            self.is_answered = True  # nothing is raised again from here on
        for signum, handler in self._before.items():
            if signal.getsignal(signum) == self._receive:  # not where signals are ignored by now
                signal.signal(signum, handler)
        if sys.unraisablehook == self._hush:
            sys.unraisablehook = self._hook_before

    def release(self) -> None:
        """Hand on what was held back: to the blocks outside, or to whoever answered signals before there were any."""
        if self.modes:
            self.raise_if_due()
        elif self.request.signum is not None:
            signal.raise_signal(self.request.signum)

    def raise_if_due(self) -> None:
        """Raise Stopped if somebody asked, the innermost block is one that raises, and it is not on its way already."""
        if self.request.signum is None or self.is_raised or self.is_answered:
            return
        if self.modes[-1:] != [_Mode.RAISE] or _Mode.HOLD in self.modes:
            return
        self.raise_now(self.request.signum)

    def raise_now(self, signum: int) -> NoReturn:
        self.is_raised = True
        error = Stopped(signum)
        self._raised = weakref.ref(error, self._raise_again)
        try:
            raise error
        finally:
            del error  # its traceback holds this frame: it must be able to die where somebody drops it

    def _receive(self, signum: int, frame: FrameType | None) -> None:
        is_repeat, self._is_repeat = self._is_repeat, False
        if not self.request.asked:
            self._first_s = time.monotonic()
            self.request.note(signum)
        elif signum == signal.SIGINT and not is_repeat:
            self._offer_an_end()
        self.raise_if_due()

    def _offer_an_end(self) -> None:
        """Let the next Ctrl-C end a program that takes long over its end, unless torchrun sends us signals."""
        if "LOCAL_RANK" not in os.environ and time.monotonic() - self._first_s > _PATIENCE_S:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.write(2, _IMPATIENT)

    def _raise_again(self, lost: Any) -> None:
        """Raise anew what was dropped: by Python in a __del__, by a library written in C, by an `except:`."""
        self.is_raised = False
        if not self.is_answered:
            _thread.start_new_thread(self._send_again, ())  # takes no lock that we, somewhere in a callback, may hold

    def _send_again(self) -> None:
        time.sleep(_AGAIN_S)
        with self._closing:
            if not self.is_answered and self.request.signum is not None:
                self._is_repeat = True
                main = threading.main_thread().ident
                if hasattr(signal, "pthread_kill") and main is not None:
                    signal.pthread_kill(main, self.request.signum)  # ends a wait, too
                else:
                    _thread.interrupt_main(signal.Signals(self.request.signum))

    def _hush(self, unraisable: Any) -> None:
        """Say nothing about objects that were left half-built by a stop; anything else is told as always."""
        if not self.request.asked:
            self._hook_before(unraisable)


_open_watch: _Watch | None = None


@contextmanager
def catch_stop_signals(*, at_once: bool = True) -> Iterator[StopRequest]:
    """Note signals that ask to stop inside, and raise Stopped for the first of them.

    Whoever presses Ctrl-C twice, or is sent a second signal by the program that started this one, does not interrupt
    the saving that the first one began; a person who presses it again after two seconds is told that the next one ends
    the program at once. An exception that somebody drops on its way is raised again. Objects that a stop left
    half-built say nothing. A block inside another one knows what the outer one was asked before.

    Args:
        at_once: raise where the signal arrives; otherwise it is noted only, for processes that must agree when to stop.

    Yields:
        Whether somebody asked to stop.
    """
    with _enter(_Mode.RAISE if at_once else _Mode.NOTE) as watch:
        yield watch.request


@contextmanager
def hold_stop_signals() -> Iterator[None]:
    """Hold signals that ask to stop back until the block ends, so that a model is never left between two steps.

    A process that is forked inside keeps holding them back for good.
    """
    with _enter(_Mode.HOLD):
        yield


@contextmanager
def _enter(mode: _Mode) -> Iterator[_Watch]:
    global _open_watch
    if threading.current_thread() is not threading.main_thread():
        yield _open_watch or _Watch()  # only the main thread may set handlers, and only it gets signals
        return
    is_outermost = _open_watch is None
    watch = _open_watch = _open_watch or _Watch()
    watch.modes.append(mode)
    try:
        if is_outermost:
            watch.open()
        yield watch
    finally:
        watch.modes.pop()
        if is_outermost:
            _open_watch = None
            watch.close()
        if mode is _Mode.HOLD:
            watch.release()


@contextmanager
def explain_stop(describe: Callable[[], str]) -> Iterator[None]:
    """Let the command's last line say what `describe` returns, what was kept and how to go on, if it is stopped inside.

    The innermost explanation comes first.
    """
    try:
        yield
    except KeyboardInterrupt as stop:
        stop.add_note(describe())
        raise


def answer_at_once() -> None:
    """Let the innermost open block raise Stopped from now on; does so if somebody has asked already."""
    _change_mode(_Mode.RAISE)


def answer_no_more() -> None:
    """Let the innermost open block only note signals from now on, because the work is done or has been stopped."""
    _change_mode(_Mode.NOTE)
    if _open_watch:
        _open_watch.is_answered = True


def _change_mode(mode: _Mode) -> None:
    if _open_watch and threading.current_thread() is threading.main_thread():
        _open_watch.modes[-1] = mode
        _open_watch.raise_if_due()


def take_signals_back() -> None:
    """Answer signals again after a library has put its own answers in place."""
    if _open_watch and threading.current_thread() is threading.main_thread():
        _open_watch.take_signals()


def prepare_to_end(code: int) -> None:
    """Let the program that is about to end with `code` do so undisturbed, and silently where it was stopped."""
    ignore_stop_signals()
    if code > _STOPPED:
        sys.unraisablehook = lambda unraisable: None


def ignore_stop_signals() -> None:
    """Ignore signals that ask to stop from now on, for a process that has nothing left to do but to end."""
    if threading.current_thread() is threading.main_thread():
        for signum in list_stop_signals():
            signal.signal(signum, signal.SIG_IGN)
