"""Signals wait for the end of a block."""

from __future__ import annotations

import signal
import sys
import threading

import pytest

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


def test_a_signal_lost_in_a_finalizer_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closing:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)

    lost = []
    monkeypatch.setattr(sys, "unraisablehook", lost.append)
    with catch_stop_signals() as stop:
        stop.raise_if_asked()
        Closing()
        assert len(lost) == 1
        with pytest.raises(KeyboardInterrupt):
            stop.raise_if_asked()


def test_nohup_stays_in_force() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with catch_stop_signals() as stop, hold_stop_signals():
            signal.raise_signal(signal.SIGHUP)
        assert not stop.asked
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
