"""Signals wait for the end of a block."""

from __future__ import annotations

import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress

import pytest

from pcdet_poly import signals
from pcdet_poly.errors import run_command
from pcdet_poly.signals import catch_stop_signals, hold_stop_signals


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_takes_effect_when_the_block_ends(signum: int) -> None:
    reached = []

    def work() -> None:
        with catch_stop_signals():
            with hold_stop_signals():
                signal.raise_signal(signum)
                signal.raise_signal(signum)
                reached.append("end of the block")
            reached.append("after the block")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert reached == ["end of the block"]


def test_without_a_signal_the_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with catch_stop_signals(), hold_stop_signals():
        assert signal.getsignal(signal.SIGINT) is not before[0]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_both_do_nothing_in_other_threads() -> None:
    reached = []

    def work() -> None:
        with catch_stop_signals(), hold_stop_signals():
            reached.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert reached == [True]


class Closing:
    def __del__(self) -> None:
        signal.raise_signal(signal.SIGTERM)


def drop_in_finalizer() -> None:
    Closing()


def drop_in_except() -> None:
    with suppress(BaseException):
        signal.raise_signal(signal.SIGTERM)


def drop_in_callback() -> None:
    """The exception's first cry is dropped in a callback of C code, here a weak reference's."""
    thing = threading.Event()
    watcher = weakref.ref(thing, lambda dead: signal.raise_signal(signal.SIGTERM))
    del thing
    assert watcher() is None


@pytest.mark.parametrize("drop", [drop_in_finalizer, drop_in_except, drop_in_callback])
def test_a_stop_that_somebody_drops_is_raised_again(drop: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    complaints: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", complaints.append)

    def work() -> None:
        drop()
        time.sleep(240)  # ended by the second cry; the first one has been dropped

    start = time.monotonic()
    assert run_command(work) == 128 + signal.SIGTERM
    assert time.monotonic() - start < 120
    assert complaints == []


def test_half_built_objects_say_nothing_after_a_stop_and_everything_before(monkeypatch: pytest.MonkeyPatch) -> None:
    class HalfBuilt:
        def __del__(self) -> None:
            raise AttributeError("half-built")

    complaints: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", complaints.append)
    with catch_stop_signals(at_once=False):
        HalfBuilt()
        assert len(complaints) == 1
        signal.raise_signal(signal.SIGINT)
        HalfBuilt()
    assert len(complaints) == 1
    HalfBuilt()
    assert len(complaints) == 2


@pytest.mark.parametrize(
    ("signum", "says"),
    [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "stopped by SIGTERM"), (signal.SIGHUP, "stopped by SIGHUP")],
)
def test_a_stopped_command_says_one_line_and_ends_with_128_and_the_signal(
    signum: signal.Signals, says: str, capfd: pytest.CaptureFixture[str]
) -> None:
    tidied = []

    def work() -> None:
        try:
            signal.raise_signal(signum)
        finally:
            for later in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # do not disturb the tidying up
                signal.raise_signal(later)
            tidied.append(True)

    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    assert run_command(work) == 128 + signum
    assert tidied == [True]
    assert capfd.readouterr().err == f"{says}: nothing half-written was kept; run the same command again to go on\n"
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


def stop_with_note() -> None:
    try:
        signal.raise_signal(signal.SIGTERM)
    except KeyboardInterrupt as stop:
        stop.add_note("3 of 5 are kept")
        raise


def stop_while_tidying_fails() -> None:
    try:
        signal.raise_signal(signal.SIGTERM)
    finally:
        raise RuntimeError("cannot\ntidy")


def stop_when_done() -> None:
    with catch_stop_signals(at_once=False):
        signal.raise_signal(signal.SIGTERM)


@pytest.mark.parametrize(
    ("work", "says"),
    [
        (stop_with_note, "stopped by SIGTERM: 3 of 5 are kept\n"),
        (stop_while_tidying_fails, "stopped by SIGTERM: stopped while something failed (RuntimeError: cannot tidy)\n"),
        (stop_when_done, "stopped by SIGTERM: everything was done already, and is kept\n"),
    ],
)
def test_the_line_says_what_was_kept(work: Callable[[], None], says: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run_command(work) == 128 + signal.SIGTERM
    assert capfd.readouterr().err == says


def test_torchrun_s_first_process_speaks_for_all(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setenv("RANK", "1")
    assert run_command(stop_with_note) == 128 + signal.SIGTERM
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(("patience_s", "ends"), [(-1.0, True), (1e9, False)])
def test_a_late_second_ctrl_c_lets_the_next_one_end_the_program(
    patience_s: float, ends: bool, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(signals, "_PATIENCE_S", patience_s)
    answers = []

    def work() -> None:
        before = signal.getsignal(signal.SIGINT)
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            signal.raise_signal(signal.SIGINT)
            answers.append(signal.getsignal(signal.SIGINT) is signal.SIG_DFL)
            signal.signal(signal.SIGINT, before)

    assert run_command(work) == 130
    assert answers == [ends]
    assert ("still tidying up; press Ctrl-C once more to end at once\n" in capfd.readouterr().err) == ends


def test_a_signal_that_a_process_is_waited_for_reaches_it_once() -> None:
    told: list[int] = []
    with catch_stop_signals(at_once=False) as stop:
        stop.pass_on(told.append)
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
    assert told == [signal.SIGTERM]


def test_nohup_stays_in_force() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with catch_stop_signals() as stop, hold_stop_signals():
            signal.raise_signal(signal.SIGHUP)
        assert not stop.asked
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
