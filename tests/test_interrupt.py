"""Signals wait for the end of a block."""

from __future__ import annotations

import signal
import threading

import pytest

from pcdet_poly.interrupt import terminate_like_ctrl_c, uninterrupted


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_takes_effect_when_the_block_ends(signum: int) -> None:
    reached = []

    def work() -> None:
        with terminate_like_ctrl_c():
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
    with terminate_like_ctrl_c(), uninterrupted():
        assert signal.getsignal(signal.SIGINT) is not before[0]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_both_do_nothing_in_other_threads() -> None:
    reached = []

    def work() -> None:
        with terminate_like_ctrl_c(), uninterrupted():
            reached.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert reached == [True]
