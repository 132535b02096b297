"""Damages files at random places, reads them in forked processes, and says how each reading ended."""

from __future__ import annotations

import contextlib
import io
import os
import resource
import signal
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pcdet_poly.errors import UserError
from tests.faults.digests import digest
from tests.faults.outcomes import ALLOWED, ALLOWED_WITHOUT_CHECKSUM, Outcome

CPU_SECONDS = 20  # in which a reader must have said what it thinks of one small file; sound ones take milliseconds
REAL_SECONDS = 300  # in which it must even where it waits for something
MORE_MEMORY = 2 << 30  # bytes that readers may ask for beside what the process has: sound files are below 1 MB
_ZEROS_EVERY, _MOST_ZEROS = 5, 512  # of the changes, every so manieth is a run of zeros, as of a lost sector


def _nothing(data: bytes) -> frozenset[int]:
    return frozenset()


@dataclass(frozen=True)
class Format:
    """One kind of file that we read."""

    name: str
    checksum: str  # what tells damage; "" for a format that cannot
    make: Callable[[Path], list[Path]]  # writes sound files into a folder; the paths that are damaged in turn
    read: Callable[[Path], Any]  # reads everything in that folder
    whole_cuts: Callable[[bytes], frozenset[int]] = _nothing  # lengths at which a cut file is a whole, shorter one


@dataclass(frozen=True)
class Damage:
    """One damaged file: `length` bytes from `start` are put in place of what was there; None cuts the file off."""

    path: Path
    start: int
    replacement: bytes | None

    def apply(self, sound: bytes) -> bytes:
        if self.replacement is None:
            return sound[: self.start]
        return sound[: self.start] + self.replacement + sound[self.start + len(self.replacement) :]

    def __str__(self) -> str:
        what = "cut" if self.replacement is None else f"changed to {self.replacement[:4].hex()}"
        return f"{self.path.name} byte {self.start} {what}"


@dataclass
class Tally:
    """How often each outcome came, with the first case of each that may not be."""

    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)

    def add(self, outcome: Outcome, what: str) -> None:
        self.counts[outcome] = self.counts.get(outcome, 0) + 1
        self.examples.setdefault(outcome, what)

    def list_forbidden(self, *, has_checksum: bool) -> dict[str, str]:
        allowed = ALLOWED if has_checksum else ALLOWED_WITHOUT_CHECKSUM
        return {name: example for name, example in self.examples.items() if name not in allowed}


def draw_changes(files: dict[Path, bytes], count: int, rng: np.random.Generator) -> Iterator[Damage]:
    """Yield `count` changes: of one byte to any other, or now and then of a run to zeros."""
    paths = list(files)
    for number in range(count):
        path = paths[number % len(paths)]
        sound = files[path]
        start = int(rng.integers(len(sound)))
        zeros = bytes(min(int(rng.integers(1, _MOST_ZEROS)), len(sound) - start))
        if number % _ZEROS_EVERY or sound[start : start + len(zeros)] == zeros:
            zeros = bytes([sound[start] ^ int(rng.integers(1, 256))])
        yield Damage(path, start, zeros)


def draw_cuts(
    files: dict[Path, bytes], count: int, rng: np.random.Generator, whole_cuts: Callable[[bytes], frozenset[int]]
) -> Iterator[Damage]:
    """Yield `count` cuts at which a file is not whole."""
    paths = list(files)
    forbidden = {path: whole_cuts(files[path]) for path in paths}
    for number in range(count):
        path = paths[number % len(paths)]
        end = int(rng.integers(len(files[path])))
        if end not in forbidden[path]:
            yield Damage(path, end, None)


def count_outcomes(fmt: Format, folder: Path, num_changes: int, num_cuts: int, *, seed: int = 0) -> tuple[Tally, Tally]:
    """Make a format's files, and read them after each of many changes and cuts; what came of each kind."""
    folder.mkdir(parents=True)
    files = {path: path.read_bytes() for path in fmt.make(folder)}
    expected = digest(fmt.read(folder))
    assert digest(fmt.read(folder)) == expected, f"{fmt.name}: two readings of the sound file differ"
    rng = np.random.default_rng([seed, *fmt.name.encode()])
    tallies = []
    for damages in (
        list(draw_changes(files, num_changes, rng)),
        list(draw_cuts(files, num_cuts, rng, fmt.whole_cuts)),
    ):
        tally = Tally()
        for damage, (outcome, what) in zip(damages, _read_all(fmt, folder, files, damages, expected), strict=True):
            tally.add(outcome, f"{damage}: {what}")
        tallies.append(tally)
    return tallies[0], tallies[1]


def _read_all(
    fmt: Format, folder: Path, files: dict[Path, bytes], damages: list[Damage], expected: str
) -> Iterator[tuple[Outcome, str]]:
    """Yield what came of each damage. A process that a damage kills is followed by another one."""
    done = 0
    while done < len(damages):
        status = yield from _read_in_child(fmt, folder, files, damages, done, expected)
        done += status[0]
        if status[1] is not None:
            yield name_death(status[1])
            done += 1
        for path, sound in files.items():
            path.write_bytes(sound)


def name_death(signum: signal.Signals) -> tuple[Outcome, str]:
    """Name how a reading process died: of our alarm, or of what it read."""
    return (Outcome.HANG if signum in (signal.SIGPROF, signal.SIGALRM) else Outcome.CRASH), signum.name


def _read_in_child(
    fmt: Format, folder: Path, files: dict[Path, bytes], damages: list[Damage], done: int, expected: str
) -> Any:
    readings = (lambda damage=damage: _read_damaged(fmt, folder, files, damage, expected) for damage in damages[done:])
    number, signum = yield from judge_in_child(readings, MORE_MEMORY)
    assert signum or number == len(damages) - done, f"{fmt.name}: the reading process ended early"
    return number, signum


def judge_in_child(readings: Iterable[Callable[[], tuple[Outcome, str]]], memory: int) -> Any:
    """Yield what each of `readings` gives in a forked process that gets `memory` bytes; at last how it ended."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        try:
            with os.fdopen(writing, "w", buffering=1) as pipe:
                _limit_process(memory)
                for read in readings:
                    pipe.write("\t".join(read()) + "\n")
        finally:
            os._exit(0)
    os.close(writing)
    number = 0
    with os.fdopen(reading) as pipe:
        for line in pipe:
            outcome, _, what = line.rstrip("\n").partition("\t")
            yield Outcome(outcome), what
            number += 1
    _, status = os.waitpid(child, 0)
    return number, signal.Signals(os.WTERMSIG(status)) if os.WIFSIGNALED(status) else None


def _limit_process(memory: int) -> None:
    """A reader that never ends, or that fills the memory, is found out."""
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else 0
    if pages:
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + memory,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _read_damaged(
    fmt: Format, folder: Path, files: dict[Path, bytes], damage: Damage, expected: str
) -> tuple[Outcome, str]:
    sound = files[damage.path]
    damage.path.write_bytes(damage.apply(sound))
    try:
        outcome, what = judge_reading(lambda: digest(fmt.read(folder)), folder, expected)
    finally:
        damage.path.write_bytes(sound)
    other = outcome is Outcome.SILENTLY_WRONG and not fmt.checksum
    return (Outcome.OTHER_DATA if other else outcome), what


def judge_reading(read: Callable[[], str], folder: Path, expected: str | None) -> tuple[Outcome, str]:
    """Call `read`, which gives the digest of what is read from `folder`; how that ended."""
    signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
    signal.alarm(REAL_SECONDS)
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = read()
    except UserError as error:
        return _judge_message(str(error), folder)
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(frame.filename).name}:{frame.lineno}"
        return Outcome.TRACEBACK, ascii(f"{type(error).__name__} at {where}: {error}")[1:300]
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
    if found == expected:
        return Outcome.EQUAL, ""
    if said.getvalue():
        return Outcome.DETECTED, said.getvalue().splitlines()[0]
    return Outcome.SILENTLY_WRONG, ""


def _judge_message(message: str, folder: Path) -> tuple[Outcome, str]:
    """An error is clean if it is one line that names a file in the folder (or the folder)."""
    clean = len(message.splitlines()) == 1 and str(folder) in message
    return (Outcome.CLEAN_ERROR if clean else Outcome.TRACEBACK), ascii(message)[1:-1][:300]
