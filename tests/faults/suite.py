"""All faults, in one warm process: `python -m tests.faults.suite --count 2000 --table docs/reliability.md`.

It must be a process of its own: commands are killed in processes that are forked from it, which has everything
imported, and a fork of a program with threads, such as a test runner's worker, may wait for ever.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.commands import WRITERS, Writer, call, make_inputs
from tests.faults.damage import Tally, count_outcomes
from tests.faults.formats import FORMATS
from tests.faults.hostile import read_hostile
from tests.faults.kills import count_kills
from tests.faults.places import LIMITS, expect, run_in_place
from tests.faults.table import write_table

_CUTS_SHARE = 4  # changes per cut
_KILLS_SHARE = 100  # changes per kill
_KILLS_ONCE = 40  # changes from which on commands that start programs are killed, too


@dataclass
class Results:
    """What came of all faults. Outcomes are by name, in the order of `Outcome`."""

    changes: dict[str, Tally] = field(default_factory=dict)  # by format
    cuts: dict[str, Tally] = field(default_factory=dict)
    kills: dict[str, Tally] = field(default_factory=dict)  # by command
    places: dict[str, dict[str, tuple[str, str]]] = field(default_factory=dict)  # by limit and command
    hostile: dict[str, tuple[str, str]] = field(default_factory=dict)  # by file

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def run_suite(count: int, folder: Path) -> Results:
    """Count the outcomes of `count` changes of each format, and of all that belongs to it."""
    results = Results()
    for fmt in FORMATS:
        place = folder / str(len(results.changes))
        results.changes[fmt.name], results.cuts[fmt.name] = count_outcomes(
            fmt, place, count, max(count // _CUTS_SHARE, 1)
        )
    results.hostile = {what: (str(outcome), said) for what, (outcome, said) in read_hostile(folder / "hostile").items()}
    make_inputs(folder / "inputs", with_sweep=count >= _KILLS_ONCE)
    for writer in WRITERS:
        if count >= _KILLS_ONCE or not writer.is_slow:
            _run_command(writer, folder / "inputs", folder / writer.name, count, results)
    return results


def _run_command(writer: Writer, inputs: Path, folder: Path, count: int, results: Results) -> None:
    (folder / "warm").mkdir(parents=True)
    call([writer.name, *writer.words(inputs, folder / "warm")])  # imports, and kernels from the disk
    results.kills[writer.name] = count_kills(writer, inputs, folder, max(count // _KILLS_SHARE, 2))
    if writer.starts_programs:
        return
    expected = expect(writer, inputs, folder)
    for limit in LIMITS:
        found = run_in_place(writer, inputs, folder, limit, expected)
        results.places.setdefault(limit, {})[writer.name] = found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--table", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results = run_suite(options.count, Path(folder))
    if options.json:
        options.json.write_text(json.dumps(results.to_json()))
    if options.table:
        write_table(results.to_json(), options.table)


if __name__ == "__main__":
    main()
