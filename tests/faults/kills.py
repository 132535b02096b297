"""Kills commands at random moments, and looks at what they leave and at what the same command then does."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from pcdet_poly.engine.checkpoint import load_checkpoint
from tests.faults.commands import Writer, call
from tests.faults.damage import Tally
from tests.faults.digests import digest
from tests.faults.outcomes import Outcome

_AGAIN_EVERY = 2  # kills after which the command is run to its end; the next one then starts anew
_PATIENCE_S = 300.0


def count_kills(writer: Writer, inputs: Path, folder: Path, kills: int) -> Tally:
    """Kill a command `kills` times; what came of each."""
    output, tally = folder / "output", Tally()
    began = time.monotonic()
    fork_to_end(writer, inputs, output)  # the time is known, and everything is loaded
    seconds = time.monotonic() - began
    expected = read_files(output)
    rng = random.Random(writer.name)
    shutil.rmtree(output)
    for number in range(kills):
        child = _fork(writer, inputs, output)
        time.sleep(rng.uniform(0, seconds))
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
        what = describe_half_written(writer, output, expected)
        outcome = Outcome.SILENTLY_WRONG if what else Outcome.EQUAL
        if not what and (number % _AGAIN_EVERY == 1 or number == kills - 1):
            code = fork_to_end(writer, inputs, output)
            what = f"exit code {code}" if code else describe_difference(writer, output, expected)
            outcome = Outcome.TRACEBACK if code else Outcome.SILENTLY_WRONG if what else Outcome.EQUAL
            shutil.rmtree(output)
        tally.add(outcome, f"kill {number}: {what}")
    return tally


def read_files(folder: Path) -> dict[str, bytes]:
    """Every visible file below a folder, by its path there."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    names = {path.relative_to(folder).as_posix(): path for path in paths}
    return {name: path.read_bytes() for name, path in names.items() if not _is_hidden(name)}


def describe_half_written(writer: Writer, output: Path, expected: dict[str, bytes]) -> str:
    """Say which visible file is not what an undisturbed run writes; "" where all are."""
    for name, data in read_files(output).items():
        if _matches(name, (*writer.grows, *writer.varies)):
            if name.endswith(".json") and not _is_json(data):
                return f"{name} is half-written"
        elif not _is_same(name, data, expected.get(name)):
            return f"{name} is half-written, {len(data)} of {len(expected.get(name, b''))} bytes"
    return ""


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except ValueError:
        return False
    return True


def _is_same(name: str, one: bytes | None, other: bytes | None) -> bool:
    """Equal bytes, or for checkpoints equal content: how pickle numbers equal objects depends on their history."""
    if one is None or other is None or one == other or not name.endswith(".pt"):
        return one == other
    return _digest_checkpoint(one) == _digest_checkpoint(other)


def _digest_checkpoint(data: bytes) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.pt"
        path.write_bytes(data)
        return digest(load_checkpoint(path))


def describe_difference(writer: Writer, output: Path, expected: dict[str, bytes]) -> str:
    """Say what differs from an undisturbed run, or was left behind; "" where nothing does."""
    found = read_files(output)
    ours, theirs = ({n: d for n, d in files.items() if not _matches(n, writer.varies)} for files in (found, expected))
    if left := [path.name for path in output.rglob(".*") if ".part" in path.name or path.name.endswith(".lock")]:
        return f"left behind: {sorted(left)[0]}"
    other = [name for name in sorted(ours | theirs) if not _is_same(name, ours.get(name), theirs.get(name))]
    return f"{other[0]} differs" if other else ""


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/"))


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(part in patterns for part in name.split("/"))


def _fork(writer: Writer, inputs: Path, output: Path) -> int:
    """Start the command in a forked process, the first of a group of its own."""
    output.mkdir(exist_ok=True)
    child = os.fork()
    if not child:
        code = 1
        try:
            os.setpgid(0, 0)
            silence = os.open(os.devnull, os.O_RDWR)
            for descriptor in range(3):
                os.dup2(silence, descriptor)
            call([writer.name, *writer.words(inputs, output)])
            code = 0
        finally:
            os._exit(code)
    with suppress(PermissionError):
        os.setpgid(child, child)  # whoever is first: the group must be there before it is killed
    return child


def fork_to_end(writer: Writer, inputs: Path, output: Path) -> int:
    child = _fork(writer, inputs, output)
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            os.killpg(child, signal.SIGKILL)
        time.sleep(0.005)
