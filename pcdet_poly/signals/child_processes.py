"""Worker processes of ours that signals reach as they reach this one: from a terminal, a scheduler, torchrun."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker

from pcdet_poly.signals import list_stop_signals


@contextmanager
def block_signals_in_children(start_method: str) -> Iterator[None]:
    """Let processes that are started inside begin with signals blocked, which they would die of before they are ready.

    Each calls `unblock_signals` as soon as it has said what signals do to it.

    Args:
        start_method: of the processes: "fork", "spawn" or "forkserver".
    """
    if sys.platform == "win32":
        yield
        return
    if start_method != "fork":
        resource_tracker.ensure_running()  # otherwise it starts inside, and unblocks signals
    before = signal.pthread_sigmask(signal.SIG_BLOCK, list_stop_signals())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def unblock_signals() -> None:
    """Let signals reach this process, which `block_signals_in_children` kept from it."""
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
