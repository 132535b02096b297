"""The results of the fault suite as tables in docs/reliability.md, between two markers."""

from __future__ import annotations

import platform
import time
from pathlib import Path
from typing import Any

from tests.faults.formats import FORMATS
from tests.faults.outcomes import ALLOWED, Outcome

BEGIN, END = "<!-- faults: begin -->", "<!-- faults: end -->"
_GOOD = [outcome.value for outcome in Outcome if outcome in ALLOWED]
_BAD = [outcome.value for outcome in Outcome if outcome not in ALLOWED and outcome != Outcome.OTHER_DATA]


def write_table(results: dict[str, Any], path: Path) -> None:
    """Put the tables in place of those between the markers of a page."""
    before, _, rest = path.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    path.write_text(f"{before}{BEGIN}\n{build_tables(results)}\n{END}{after}")


def build_tables(results: dict[str, Any]) -> str:
    """Write the tables as Markdown."""
    head = f"{time.strftime('%d %B %Y').lstrip('0')}, {_name_processor()}, Linux {platform.release()}: `make faults`"
    columns = ["file", "checksum", "changed", "cut", *_GOOD, Outcome.OTHER_DATA.value, "wrong, traceback, crash, hang"]
    lines = [
        f"{head}.",
        "",
        _row(columns),
        _row(["---"] * 2 + ["---:"] * (len(columns) - 2)),
    ]
    for fmt in FORMATS:
        tallies = [results[kind][fmt.name]["counts"] for kind in ("changes", "cuts")]
        counts = {outcome.value: sum(tally.get(outcome.value, 0) for tally in tallies) for outcome in Outcome}
        cells = [*(counts[name] for name in _GOOD), counts[Outcome.OTHER_DATA], sum(counts[name] for name in _BAD)]
        lines.append(_row([fmt.name, fmt.checksum or "none", *(sum(tally.values()) for tally in tallies), *cells]))
    heads = ["command", "kills", "stops", "half-written, wrong or traceback", "two at once", *results["places"]]
    lines += ["", _row(heads), _row(["---"] + ["---:"] * 3 + ["---"] * (len(heads) - 4))]
    for name in results["kills"]:
        tallies = [results[kind].get(name, {"counts": {}})["counts"] for kind in ("kills", "stops", "pairs")]
        numbers = [sum(tally.values()) for tally in tallies[:2]]
        good = [tally.get(Outcome.EQUAL.value, 0) for tally in tallies[:2]]
        found = [cells.get(name, ("not tried",))[0] for cells in results["places"].values()]
        pairs = _say_pairs(tallies[2])
        lines.append(_row([f"`{name}`", *numbers, sum(numbers) - sum(good), pairs, *(_say(cell) for cell in found)]))
    hostile = [outcome for outcome, _ in results["hostile"].values()]
    refused = hostile.count(Outcome.CLEAN_ERROR.value)
    counted = f"{len(hostile)}. Refused in one line within 1 GiB: {refused}; the others may be meant."
    kinds = "headers that claim terabytes, ZIP bombs, nested messages, aliases, devices"
    lines += ["", f"Hostile files ({kinds}): {counted}"]
    return "\n".join(lines)


def _say(outcome: str) -> str:
    return "no need" if outcome == Outcome.EQUAL.value else outcome


def _say_pairs(counts: dict[str, int]) -> str:
    words = {Outcome.CLEAN_ERROR.value: "one refused", Outcome.EQUAL.value: "both right"}
    return ", ".join(f"{number} {words.get(name, name)}" for name, number in counts.items())


def _row(cells: list[Any]) -> str:
    return f"| {' | '.join(f'{cell:,}' if isinstance(cell, int) else str(cell) for cell in cells)} |"


def _name_processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
