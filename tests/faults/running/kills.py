"""Kills and stops commands at random moments and lines; looks at what they leave and at what they then do."""

from __future__ import annotations

import fcntl
import json
import os
import random
import shutil
import signal
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import CodeType

from pcdet_poly.commands.main import dispatch
from pcdet_poly.engine.checkpoint import load_checkpoint
from pcdet_poly.errors import UserError
from tests.faults.damage import Tally
from tests.faults.digests import digest
from tests.faults.outcomes import Outcome
from tests.faults.running.forks import STOP_SIGNALS, fork, wait
from tests.faults.running.writers import Writer, call
from tests.interruptions import Ending, stop_at_line
from tests.sockets import list_descendants

_AGAIN_EVERY = 4  # kills after which the command is run to its end; the next one then starts anew


def measure_time(writer: Writer, inputs: Path, output: Path) -> float:
    """Measure the seconds that a command takes."""
    began = time.monotonic()
    run_to_end(writer, inputs, output)
    shutil.rmtree(output)
    return time.monotonic() - began


def count_kills(
    writer: Writer, inputs: Path, output: Path, kills: int, expected: dict[str, bytes], seconds: float
) -> Tally:
    """Kill a command `kills` times, every other time with all that it has started; what came of each.

    Args:
        writer: the command.
        inputs: what it reads.
        output: folder that it writes into.
        kills: how often.
        expected: what an undisturbed run writes.
        seconds: that it takes.
    """
    tally, rng = Tally(), random.Random(writer.name)
    for number in range(kills):
        child = start(writer, inputs, output)
        time.sleep(rng.uniform(0, seconds))
        victims = list_descendants(child) if number % 2 else [child]
        for victim in victims:
            with suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
        os.waitpid(child, 0)
        is_last = number % _AGAIN_EVERY == _AGAIN_EVERY - 1 or number == kills - 1
        _look(writer, inputs, output, expected, tally, what=f"kill {number}", go_on=is_last)
    return tally


def count_stops(writer: Writer, inputs: Path, output: Path, stops: int, expected: dict[str, bytes]) -> Tally:
    """Stop a command `stops` times by a signal at a random line of our code; what came of each.

    Args:
        writer: the command.
        inputs: what it reads.
        output: folder that it writes into.
        stops: how often.
        expected: what an undisturbed run writes.
    """
    tally, rng = Tally(), random.Random(writer.name)
    num_lines = _stop(writer, inputs, output, -1, signal.SIGTERM).num_lines
    shutil.rmtree(output)
    for number in range(stops):
        signum = STOP_SIGNALS[number % len(STOP_SIGNALS)]
        ending = _stop(writer, inputs, output, rng.randint(1, num_lines), signum)
        what = f"stop {number} by {signum.name} at {ending.line}"
        if ending.was_stopped and (wrong := _find_wrong_ending(ending, signum) or list_left_behind(output)):
            tally.add(Outcome.TRACEBACK, f"{what}: {wrong}")
            shutil.rmtree(output)
            continue
        is_last = number % _AGAIN_EVERY == _AGAIN_EVERY - 1 or number == stops - 1
        _look(writer, inputs, output, expected, tally, what=what, go_on=is_last)
    return tally


def _stop(writer: Writer, inputs: Path, output: Path, k: int, signum: signal.Signals) -> Ending:
    """Run the command in a fork and stop it at the k-th line of our own code that it gets to."""
    output.mkdir(exist_ok=True)
    with tempfile.NamedTemporaryFile("w+") as told:

        def work() -> int:
            words = [writer.name, *map(str, writer.words(inputs, output))]
            ending = stop_at_line(lambda: dispatch(words), k, signum, _is_ours)
            told.write(json.dumps([ending.code, ending.said, ending.complaints, ending.line, ending.num_lines]))
            told.flush()
            return 0

        code = wait(fork(work))
        told.seek(0)
        text = told.read()
    return Ending(*json.loads(text)) if text else Ending(code, "the process died", [], "somewhere")


def _is_ours(code: CodeType) -> bool:
    return "/pcdet_poly/" in code.co_filename


def _find_wrong_ending(ending: Ending, signum: signal.Signals) -> str:
    """Say what is wrong with how a stopped command ended; "" for nothing."""
    last = ending.said.splitlines()[-1:]
    if ending.code != 128 + signum or ending.complaints or "Traceback" in ending.said:
        return f"exit code {ending.code}, {ending.complaints}, {ending.said[-300:]!r}"
    return "" if last and last[0].startswith(("interrupted: ", "stopped by SIG")) else f"{ending.said[-300:]!r}"


def _look(
    writer: Writer, inputs: Path, output: Path, expected: dict[str, bytes], tally: Tally, *, what: str, go_on: bool
) -> None:
    """Count what a disturbed command has left, and with go_on what the same command then makes of it."""
    wrong = describe_half_written(writer, output, expected)
    outcome = Outcome.SILENTLY_WRONG if wrong else Outcome.EQUAL
    is_done = writer.keeps and not describe_difference(writer, output, expected)
    if not wrong and go_on and not is_done:
        code = run_to_end(writer, inputs, output)
        wrong = f"exit code {code}" if code else describe_difference(writer, output, expected)
        outcome = Outcome.TRACEBACK if code else Outcome.SILENTLY_WRONG if wrong else Outcome.EQUAL
    if wrong or go_on:
        shutil.rmtree(output)
    tally.add(outcome, f"{what}: {wrong}")


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
        elif name not in expected and _matches(name, writer.adds):
            if error := _find_damage(data):
                return f"{name}: {error}"
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


def _find_damage(data: bytes) -> str:
    """Say what is wrong with a checkpoint; "" for nothing."""
    try:
        _digest_checkpoint(data)
    except UserError as error:
        return str(error)
    return ""


def _digest_checkpoint(data: bytes) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.pt"
        path.write_bytes(data)
        return digest(load_checkpoint(path))


def describe_difference(writer: Writer, output: Path, expected: dict[str, bytes]) -> str:
    """Say what differs from an undisturbed run, or was left behind; "" where nothing does."""
    found = read_files(output)
    ours, theirs = ({n: d for n, d in files.items() if not _matches(n, writer.varies)} for files in (found, expected))
    if left := list_left_behind(output):
        return f"left behind: {left}"
    names = {name for name in ours | theirs if name in theirs or not _matches(name, writer.adds)}
    other = [name for name in sorted(names) if not _is_same(name, ours.get(name), theirs.get(name))]
    return f"{other[0]} differs" if other else ""


def list_left_behind(output: Path) -> str:
    """Name the first hidden file of a command that is no longer at work; "" where there is none.

    Trials of a sweep that was killed alone may still be at work, or wait for one that is: their ends are waited for.
    """
    for lock in [*output.glob("locks/*"), *output.rglob("*.lock")]:
        with suppress(FileNotFoundError), open(lock) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
    left = [path for path in output.rglob(".*") if ".part" in path.name or path.name.endswith(".lock")]
    return min(path.relative_to(output).as_posix() for path in left) if left else ""


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/"))


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(part in patterns for part in name.split("/"))


def start(writer: Writer, inputs: Path, output: Path, *, said: int | None = None) -> int:
    """Start the command in a forked process; its number."""
    output.mkdir(exist_ok=True)
    return fork(lambda: call([writer.name, *writer.words(inputs, output)]), said=said)


def run_to_end(writer: Writer, inputs: Path, output: Path) -> int:
    """Run the command in a forked process; its exit code."""
    return wait(start(writer, inputs, output))
