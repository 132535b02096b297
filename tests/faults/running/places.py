"""Commands where they cannot write, or get too little: each ends in one line, and goes on where there is room again."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from pcdet_poly.commands.main import main
from tests.faults.outcomes import Outcome
from tests.faults.running.kills import describe_difference, read_files, run_to_end
from tests.faults.running.writers import Writer

_SMALL_FILE = 1500  # bytes: smaller than what any of the commands writes
_DESCRIPTORS = 1  # beside those that are open: most commands need more, a few need one at a time


def _allow_no_large_file() -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # as Python does, so that a write fails with EFBIG
    resource.setrlimit(resource.RLIMIT_FSIZE, (_SMALL_FILE, _SMALL_FILE))


def _allow_few_descriptors() -> None:
    taken = {int(name) for name in os.listdir("/proc/self/fd")}
    free = [number for number in range(len(taken) + _DESCRIPTORS + 1) if number not in taken]
    resource.setrlimit(resource.RLIMIT_NOFILE, (free[_DESCRIPTORS],) * 2)


LIMITS: dict[str, Callable[[], None]] = {
    "no file above 1.5 kB": _allow_no_large_file,
    "one more descriptor": _allow_few_descriptors,
    "no room on the disk": lambda: None,
    "a read-only place": lambda: None,
}


def run_in_place(writer: Writer, inputs: Path, folder: Path, limit: str, expected: dict[str, bytes]) -> tuple[str, str]:
    """Run a command under a limit, then once more without it; the outcome and what was said.

    Args:
        writer: the command.
        inputs: what it reads.
        folder: to work in.
        limit: one of LIMITS.
        expected: what an undisturbed run writes.

    Returns:
        The outcome, and the line that the command said or what is wrong with it.
    """
    output = folder / "output"
    output.mkdir()
    try:
        with _prepare_disk(output, limit) as widen:
            if widen is None:
                return Outcome.EQUAL, "no right to mount a disk here: not tried"
            code, said = _run_limited(writer, inputs, output, LIMITS[limit])
            lines = [line for line in said.splitlines() if line.startswith(("error:", "Traceback"))]
            if code < 0:
                return Outcome.CRASH, signal.Signals(-code).name
            if code not in (0, 2) or "Traceback" in said or (code and len(lines) != 1):
                return Outcome.TRACEBACK, f"exit code {code}: {said.strip()[-300:]!r}"
            widen()
            is_done = writer.keeps and not code  # it would be refused
            if not is_done and (again := run_to_end(writer, inputs, output)):
                return Outcome.TRACEBACK, f"run again: exit code {again}"
            if what := describe_difference(writer, output, expected):
                return Outcome.SILENTLY_WRONG, f"run again: {what}"
            return (Outcome.CLEAN_ERROR, lines[0]) if code else (Outcome.EQUAL, "")
    finally:
        shutil.rmtree(output)


@contextlib.contextmanager
def _prepare_disk(output: Path, limit: str) -> Iterator[Callable[[], None] | None]:
    """Put a small or a read-only disk at `output`, where the limit says so; yields what makes it an ordinary one."""
    options = {"no room on the disk": "size=4k", "a read-only place": "ro"}.get(limit)
    if options is None:
        yield lambda: None
        return
    if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", output], capture_output=True).returncode:
        yield None
        return
    try:
        yield lambda: subprocess.run(["mount", "-o", "remount,rw,size=100m", output], check=True) and None
    finally:
        subprocess.run(["umount", output], check=True)


def _run_limited(writer: Writer, inputs: Path, output: Path, limit: Callable[[], None]) -> tuple[int, str]:
    """Run the command in a forked process under a limit; its exit code and what it said on stderr."""
    with tempfile.TemporaryFile("w+") as said:
        child = os.fork()
        if not child:
            code = 1
            try:
                signal.alarm(300)
                os.dup2(os.open(os.devnull, os.O_RDWR), 1)
                pipe = _start_reader(said.fileno())
                os.dup2(pipe, 2)
                limit()
                code = main([writer.name, *map(str, writer.words(inputs, output))])
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        said.seek(0)
        return os.waitstatus_to_exitcode(status), said.read()


def _start_reader(target: int) -> int:
    """Let what is said go through a pipe: the limit on the length of files holds for a file of messages, too."""
    reading, writing = os.pipe()
    if not os.fork():
        os.close(writing)
        while data := os.read(reading, 1 << 16):
            os.write(target, data)
        os._exit(0)
    os.close(reading)
    return writing


def expect(writer: Writer, inputs: Path, folder: Path) -> dict[str, bytes]:
    """Run a command undisturbed; what it writes."""
    output = folder / "output"
    assert run_to_end(writer, inputs, output) == 0, writer.name
    files = read_files(output)
    shutil.rmtree(output)
    return files
