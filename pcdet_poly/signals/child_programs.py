"""Programs that this one starts, and how they are asked to stop."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

MEETING = "PCDET_POLY_MEETING"  # variable: the file by which processes of one machine find each other, without a port


def start_apart(command: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
    """Start a program that a terminal's Ctrl-C does not reach, so that `ask_to_stop` alone stops it, once.

    Args:
        command: the program and its arguments.
        options: any others of `subprocess.Popen`.
    """
    if sys.platform == "win32":
        return subprocess.Popen(command, creationflags=subprocess.CREATE_NEW_PROCESS_GROUP, **options)
    return subprocess.Popen(command, start_new_session=True, **options)


def ask_to_stop(process: subprocess.Popen[bytes]) -> None:
    """Ask a program that `start_apart` started to save and to end.

    In Windows that is a Ctrl-Break, the one signal that reaches another program there; where there is no console that
    could carry it, the program is ended, and goes on from its last checkpoint when it is started again.
    """
    if sys.platform == "win32":
        try:
            process.send_signal(signal.CTRL_BREAK_EVENT)
        except OSError:
            process.terminate()
    else:
        process.send_signal(signal.SIGTERM)  # not SIGINT, which shells let programs in the background ignore


def pass_signal_on(process: subprocess.Popen[bytes], signum: int) -> None:
    """Send a signal that this program got to one that it waits for. In Windows the console has told both already."""
    if sys.platform != "win32":
        process.send_signal(signum)
