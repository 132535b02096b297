"""Signals wait for the end of a block."""

from __future__ import annotations

import signal
import sys
import threading

import pytest

from pcdet_poly.signals import stoppable, uninterrupted


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_takes_effect_when_the_block_ends(signum: int) -> None:
    reached = []

    def work() -> None:
        with stoppable():
            with uninterrupted():
                signal.raise_signal(signum)
                signal.raise_signal(signum)
                reached.append("end of the block")
            reached.append("after the block")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert reached == ["end of the block"]


def test_without_a_signal_the_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with stoppable(), uninterrupted():
        assert signal.getsignal(signal.SIGINT) is not before[0]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_both_do_nothing_in_other_threads() -> None:
    reached = []

    def work() -> None:
        with stoppable(), uninterrupted():
            reached.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert reached == [True]


def test_a_signal_lost_in_a_finalizer_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closing:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)

    lost = []
    monkeypatch.setattr(sys, "unraisablehook", lost.append)
    with stoppable() as stop:
        stop.check()
        Closing()
        assert len(lost) == 1
        with pytest.raises(KeyboardInterrupt):
            stop.check()
