"""Two processes of one command that write into one folder at once: one is refused in a line, or both are right."""

from __future__ import annotations

import random
import shutil
import tempfile
import time
from pathlib import Path

from tests.faults.damage import Tally
from tests.faults.outcomes import Outcome
from tests.faults.running.forks import wait
from tests.faults.running.kills import describe_difference, start
from tests.faults.running.writers import Writer


def count_pairs(
    writer: Writer, inputs: Path, output: Path, pairs: int, expected: dict[str, bytes], seconds: float
) -> Tally:
    """Start a command twice, `pairs` times; what came of each.

    The outcome is a clean error where the second one was refused in one line, equal where both ran to their ends. In
    either case the files are those of one undisturbed run.

    Args:
        writer: the command.
        inputs: what it reads.
        output: folder that both write into.
        pairs: how often.
        expected: what an undisturbed run writes.
        seconds: that it takes.
    """
    tally, rng = Tally(), random.Random(writer.name)
    for number in range(pairs):
        delay_s = rng.uniform(0, 0.5 * seconds) * (number % 3 > 0)
        tally.add(*_run_pair(writer, inputs, output, delay_s, expected))
        shutil.rmtree(output)
    return tally


def _run_pair(
    writer: Writer, inputs: Path, output: Path, delay_s: float, expected: dict[str, bytes]
) -> tuple[Outcome, str]:
    with tempfile.TemporaryFile("w+") as one, tempfile.TemporaryFile("w+") as other:
        first = start(writer, inputs, output, said=one.fileno())
        time.sleep(delay_s)
        second = start(writer, inputs, output, said=other.fileno())
        codes, texts = [wait(first), wait(second)], []
        for file in (one, other):
            file.seek(0)
            texts.append(file.read())
    for code, text in zip(codes, texts, strict=True):
        lines = [line for line in text.splitlines() if line.startswith("error: ")]
        if code not in (0, 2) or (code and len(lines) != 1) or "Traceback" in text:
            return Outcome.TRACEBACK, f"exit code {code}: {text.strip()[-300:]!r}"
    if 0 not in codes:
        return Outcome.SILENTLY_WRONG, f"both were refused: {texts[0].strip()[-200:]!r}"
    if wrong := describe_difference(writer, output, expected):
        return Outcome.SILENTLY_WRONG, wrong
    return (Outcome.CLEAN_ERROR if any(codes) else Outcome.EQUAL), ""
