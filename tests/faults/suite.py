"""All faults, in one warm process: `python -m tests.faults.suite --count 2000 --table docs/reliability.md`.

It must be a process of its own: commands are killed in processes that are forked from it, which has everything
imported, and a fork of a program with threads, such as a test runner's worker, may wait for ever.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

# Triton decides at its first import, which torch may cause anywhere; `gpu-check` needs its interpreter here.
os.environ.setdefault("TRITON_INTERPRET", "1")

from tests.faults.damage import Tally, count_outcomes
from tests.faults.formats import FORMATS
from tests.faults.hostile import read_hostile
from tests.faults.running.forks import fork_programs
from tests.faults.running.kills import count_kills, count_stops, measure_time
from tests.faults.running.pairs import count_pairs
from tests.faults.running.places import LIMITS, expect, run_in_place
from tests.faults.running.small_studies import shrink_simulation, shrink_studies
from tests.faults.running.writers import WRITERS, Writer, call, find_small_config, make_inputs
from tests.faults.table import write_table

_CUTS_SHARE = 4  # changes per cut
_KILLS_SHARE = 100  # changes per kill, and per stop
_PAIRS_SHARE = 400  # changes per pair of processes at once
_SLOW_FROM = 40  # changes from which on every command is killed, stopped and started twice


@dataclass
class Results:
    """What came of all faults. Outcomes are by name, in the order of `Outcome`."""

    changes: dict[str, Tally] = field(default_factory=dict)  # by format
    cuts: dict[str, Tally] = field(default_factory=dict)
    kills: dict[str, Tally] = field(default_factory=dict)  # by command
    stops: dict[str, Tally] = field(default_factory=dict)
    pairs: dict[str, Tally] = field(default_factory=dict)
    places: dict[str, dict[str, tuple[str, str]]] = field(default_factory=dict)  # by limit and command
    hostile: dict[str, tuple[str, str]] = field(default_factory=dict)  # by file

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(self.to_json()))


def run_files(count: int, folder: Path, results: Results) -> None:
    """Count the outcomes of `count` changes of each format, of as many cuts as belong to them, and of hostile files."""
    for fmt in FORMATS:
        _say(fmt.name)
        place = folder / str(len(results.changes))
        results.changes[fmt.name], results.cuts[fmt.name] = count_outcomes(
            fmt, place, count, max(count // _CUTS_SHARE, 1)
        )
        results.save(folder / "so_far.json")
    found = read_hostile(folder / "hostile")
    results.hostile = {what: (str(outcome), said) for what, (outcome, said) in found.items()}


def run_commands(count: int, folder: Path, results: Results) -> None:
    """Count what comes of commands that are disturbed."""
    inputs, writers = folder / "inputs", [one for one in WRITERS if count >= _SLOW_FROM or not one.is_slow]
    with fork_programs(find_small_config(inputs)), shrink_studies():
        make_inputs(inputs, with_slow=count >= _SLOW_FROM)
        for writer in writers:
            with shrink_simulation() if writer.name == "simulate" else contextlib.nullcontext():
                _run_command(writer, inputs, folder / writer.name, count, results)
            results.save(folder / "so_far.json")


def _run_command(writer: Writer, inputs: Path, folder: Path, count: int, results: Results) -> None:
    _say(writer.name)
    (folder / "warm").mkdir(parents=True)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        call([writer.name, *writer.words(inputs, folder / "warm")])  # imports, and kernels from the disk
    output, expected = folder / "output", expect(writer, inputs, folder)
    seconds = measure_time(writer, inputs, output)
    kills, pairs = max(count // _KILLS_SHARE, 2), max(count // _PAIRS_SHARE, 1)
    results.kills[writer.name] = count_kills(writer, inputs, output, kills, expected, seconds)
    if writer.is_quick or count >= _SLOW_FROM:
        results.stops[writer.name] = count_stops(writer, inputs, output, kills, expected)
        results.pairs[writer.name] = count_pairs(writer, inputs, output, pairs, expected, seconds)
    for limit in LIMITS:
        found = run_in_place(writer, inputs, folder, limit, expected)
        results.places.setdefault(limit, {})[writer.name] = found


def run_both(count: int, folder: Path) -> dict[str, Any]:
    """Run files in this process and commands in another one, for a machine with two cores; the results."""
    path = folder / "commands.json"
    words = ["-m", "tests.faults.suite", "--count", str(count), "--only", "commands", "--json", str(path)]
    with subprocess.Popen([sys.executable, *words]) as commands:
        results = Results()
        run_files(count, folder, results)
        if code := commands.wait():
            raise SystemExit(code)
    of_commands = json.loads(path.read_text())
    return {name: value or of_commands[name] for name, value in results.to_json().items()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--only", choices=("files", "commands"), help="one half (default: both, in two processes)")
    parser.add_argument("--one-process", action="store_true", help="both, one after the other")
    parser.add_argument("--json", type=Path, help="file for the results")
    parser.add_argument("--table", type=Path, help="page for the tables")
    parser.add_argument("--results", type=Path, help="what --json wrote before: write the tables of that")
    options = parser.parse_args()
    if options.results:
        write_table(json.loads(options.results.read_text()), options.table)
        return
    with tempfile.TemporaryDirectory() as name:
        folder, halves = Path(name), {"files": run_files, "commands": run_commands}
        if options.only or options.one_process:
            results = Results()
            for half, run in halves.items():
                if options.only in (None, half):
                    run(options.count, folder, results)
            found = results.to_json()
        else:
            found = run_both(options.count, folder)
    if options.json:
        options.json.write_text(json.dumps(found))
    if options.table:
        write_table(found, options.table)


def _say(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
