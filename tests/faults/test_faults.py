"""Damage, kills, hostile places and hostile files: nothing lost, nothing let in.

`PCDET_POLY_FAULTS` is the number of changes of each format; `make faults` counts more and writes the table of
docs/reliability.md.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.faults.formats import FORMATS
from tests.faults.hostile import HOSTILE
from tests.faults.outcomes import ALLOWED, ALLOWED_WITHOUT_CHECKSUM, Outcome
from tests.faults.running.places import LIMITS
from tests.faults.running.writers import WRITERS
from tests.faults.table import BEGIN, END, build_tables

ROOT = Path(__file__).resolve().parents[2]
COUNT = int(os.environ.get("PCDET_POLY_FAULTS", "5"))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="limits of processes are told by /proc"),
]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("faults") / "results.json"
    command = [sys.executable, "-m", "tests.faults.suite", "--one-process", "--count", str(COUNT), "--json", str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(path.read_text())
    return found


@pytest.mark.parametrize("fmt", FORMATS, ids=lambda fmt: fmt.name)
@pytest.mark.parametrize("kind", ["changes", "cuts"])
def test_a_damaged_file_is_never_taken_for_a_sound_one(results: dict[str, Any], fmt: Any, kind: str) -> None:
    tally = results[kind][fmt.name]
    allowed = ALLOWED if fmt.checksum else ALLOWED_WITHOUT_CHECKSUM
    assert sum(tally["counts"].values()) > 0
    assert {name: example for name, example in tally["examples"].items() if name not in allowed} == {}


@pytest.mark.parametrize("writer", WRITERS, ids=lambda writer: writer.name)
@pytest.mark.parametrize(
    ("kind", "allowed"),
    [("kills", {Outcome.EQUAL}), ("stops", {Outcome.EQUAL}), ("pairs", {Outcome.EQUAL, Outcome.CLEAN_ERROR})],
)
def test_a_disturbed_command_leaves_nothing_half_written_and_goes_on(
    results: dict[str, Any], writer: Any, kind: str, allowed: set[str]
) -> None:
    """It is killed, stopped by a signal at a line of our code, or started twice at once."""
    if writer.name not in results[kind]:
        pytest.skip("takes seconds per kill; PCDET_POLY_FAULTS=100 kills it, too")
    tally = results[kind][writer.name]
    assert {name: example for name, example in tally["examples"].items() if name not in allowed} == {}


@pytest.mark.parametrize("limit", LIMITS)
def test_a_command_that_cannot_write_says_so_and_goes_on_where_it_can(results: dict[str, Any], limit: str) -> None:
    found = results["places"][limit]
    assert {name: what for name, what in found.items() if what[0] not in (Outcome.CLEAN_ERROR, Outcome.EQUAL)} == {}


@pytest.mark.parametrize("what", [what for what, *_ in HOSTILE])
def test_a_hostile_file_is_refused_without_asking_for_memory(results: dict[str, Any], what: str) -> None:
    outcome, said = results["hostile"][what]
    assert outcome in (Outcome.CLEAN_ERROR, Outcome.OTHER_DATA), said


def test_the_page_has_a_row_for_every_format(results: dict[str, Any]) -> None:
    page = (ROOT / "docs" / "reliability.md").read_text()
    shown = page.partition(BEGIN)[2].partition(END)[0]
    tables = build_tables(results)
    names = [line.split("|")[1].strip() for line in tables.splitlines() if line.startswith("|")]
    assert [name for name in names if f"| {name} |" not in shown and f"`{name}`" not in shown] == []
