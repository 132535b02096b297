"""What workers of the tests do, in a module that they can import."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

from pcdet_poly.data.convert.build_store import ReportError
from pcdet_poly.data.convert.from_waymo import read_waymo
from pcdet_poly.errors import UserError
from pcdet_poly.paths import AnyPath
from pcdet_poly.structures import Frame
from pcdet_poly.workers import Advance


def read_and_die(path: AnyPath, advance: Advance, report: ReportError, *, marker: Path) -> Iterator[Frame]:
    """Frames; in the middle of segment s2, unless `marker` is there, its worker dies as if killed for memory."""
    for number, frame in enumerate(read_waymo(path, advance, report, returns=(1, 2))):
        if number == 2 and path.stem == "s2" and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        yield frame


def die(job: int, advance: Advance) -> int:
    """Be killed, always."""
    os.kill(os.getpid(), signal.SIGKILL)
    return job


def square(job: int, advance: Advance) -> int:
    """What every test of jobs computes."""
    advance(1)
    return job * job


def fail_on_two(job: int, advance: Advance) -> int:
    """A mistake of a user."""
    if job == 2:
        raise UserError("job 2: cannot be squared; choose another")
    return job
