"""Record exactly what the project computes, to prove that a change which only moves code changed nothing.

    python -m benchmarks.trace_numbers OUTPUT.json [--only PART ...]
    python -m benchmarks.trace_numbers --compare BEFORE.json AFTER.json

The first form simulates a few frames, converts them, trains five slim detectors for ten steps each, trains one of
them for longer, evaluates all of them, and writes losses, metrics and SHA-256 digests (2 minutes on one core that does
nothing else). The second form prints one line for every value that differs, and then ends with exit code 1.

What is recorded, by part:

- `settings`: every setting of every file in configs/, as `pcdet-poly train CONFIG --explain` shows it;
- `data`: bytes of simulated records and Parquet tables, of the frame stores made from them, and of an object bank;
- `runs`: per step the losses and a digest of all gradients; the final weights and the optimiser's state; metrics and
  detections;
- `losses`: values and gradients of the public functions of pcdet_poly.losses on fixed inputs, one digest each.

Everything but `losses` goes through the commands, so that it survives a change of the modules behind them. Nothing
that holds a path or a time is recorded. The numbers depend on the processor and on the versions of the libraries
(torch chooses its kernels by the processor): BEFORE and AFTER must come from the same machine and the same environment,
which the file describes under `environment` and the comparison checks.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.trace.commands import run_module
from benchmarks.trace.compare import find_differences
from benchmarks.trace.data import trace_data
from benchmarks.trace.environment import describe_environment
from benchmarks.trace.runs import trace_runs
from benchmarks.trace.settings import trace_settings


def trace_losses(folder: Path) -> dict[str, str]:
    """Digest of each public loss function's values and gradients, computed in a process of its own."""
    output = folder / "losses.json"
    run_module("benchmarks.trace.losses", output)
    digests: dict[str, str] = json.loads(output.read_text())
    return digests


# Each part takes a folder for its files; runs read the stores that data has put there.
PARTS: dict[str, Callable[[Path], Any]] = {
    "settings": lambda folder: trace_settings(),
    "losses": trace_losses,
    "data": trace_data,
    "runs": trace_runs,
}


def main() -> int:
    """Record or compare, as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", nargs="?", metavar="OUTPUT.json", type=Path, help="file to write")
    parser.add_argument("--only", nargs="+", choices=PARTS, metavar="PART", help=f"some of {', '.join(PARTS)}")
    parser.add_argument("--compare", nargs=2, metavar=("BEFORE.json", "AFTER.json"), type=Path)
    arguments = parser.parse_args()
    if (arguments.output is None) == (arguments.compare is None):
        parser.error("give either OUTPUT.json or --compare BEFORE.json AFTER.json")
    if missing := [path for path in arguments.compare or () if not path.is_file()]:
        parser.error(f"{missing[0]}: no such file")
    if arguments.compare:
        return compare_files(*arguments.compare)
    record(arguments.output, arguments.only or list(PARTS))
    return 0


def compare_files(before: Path, after: Path) -> int:
    """Print one line per difference between two files of `record`; 1 if there is any, 0 if there is none."""
    differences = find_differences(json.loads(before.read_text()), json.loads(after.read_text()))
    print("\n".join(differences) if differences else f"{before} and {after}: no difference")
    return 1 if differences else 0


def record(output: Path, parts: Sequence[str]) -> None:
    """Trace the named parts and write them to `output`. `runs` needs `data`, which is then traced, too."""
    wanted = {*parts, "data"} if "runs" in parts else {*parts}
    trace: dict[str, Any] = {"environment": describe_environment()}
    with TemporaryDirectory(prefix="trace_numbers_") as folder:
        for name in (name for name in PARTS if name in wanted):
            begin = time.perf_counter()
            trace[name] = PARTS[name](Path(folder))
            print(f"{name}: {time.perf_counter() - begin:.0f} s", file=sys.stderr, flush=True)
    output.write_text(json.dumps(trace, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
