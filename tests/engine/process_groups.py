"""Starts processes that train together, as a sweep does on several GPUs."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pcdet_poly.signals.child_programs import MEETING
from tests.warm_python import WarmProcess, WarmPython

ROOT = Path(__file__).resolve().parent.parent.parent


@contextmanager
def start_group(python: WarmPython, command: Sequence[str], folder: Path) -> Iterator[list[WarmProcess]]:
    """Run a script in `folder` as two processes of one group, and end those that are left when the block ends.

    Args:
        python: what runs the script.
        command: path of the script, and the words after it.
        folder: the current folder of both.

    Yields:
        The processes, by rank.
    """
    meeting = Path(tempfile.mkdtemp(dir=folder)) / "meeting"
    group = {MEETING: str(meeting), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    script, *words = command
    program = f"import runpy; runpy.run_path({script!r}, run_name='__main__')"
    processes = [
        python.start(
            program,
            *words,
            folder=folder,
            path=[Path(script).parent, ROOT],
            variables=group | {"RANK": number, "LOCAL_RANK": number},
        )
        for number in "01"
    ]
    try:
        yield processes
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
                process.communicate()
