"""Runs that differ in their seed alone -> the table of the README with means, and least and most beside them.

    python -m benchmarks.seed_spread demo/runs/quick demo/runs/quick_seed1 demo/runs/quick_seed2

AP and APH in per cent, from what `pcdet-poly test` wrote into each run's metrics.json.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

CLASSES = ("VEHICLE", "PEDESTRIAN", "CYCLIST")
COLUMNS = tuple((part, level) for part in ("3D", "BEV") for level in (1, 2))


def main() -> None:
    """Read and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", metavar="RUN", nargs="+", type=Path)
    given = parser.parse_args()
    found = [json.loads((run / "metrics.json").read_text("utf-8")) for run in given.runs]
    print("\n".join(build_table(found)))


def build_table(found: Sequence[dict[str, Any]]) -> list[str]:
    """Build the lines of the table: one row a class, AP and APH of each box type and level."""
    lines = [
        f"| AP / APH | {' | '.join(f'{part} LEVEL_{level}' for part, level in COLUMNS)} |",
        "|---|---|---|---|---|",
    ]
    for name in CLASSES:
        shards = [(part, f"OBJECT_TYPE_TYPE_{name}_LEVEL_{level}") for part, level in COLUMNS]
        cells = [
            " / ".join(describe_spread([100 * each[part][shard][kind] for each in found]) for kind in ("ap", "aph"))
            for part, shard in shards
        ]
        lines.append(f"| {name.lower()} | {' | '.join(cells)} |")
    return lines


def describe_spread(values: Sequence[float]) -> str:
    """Describe the mean, and the least and the most where there are several: 39.1 (37.7 to 40.2)."""
    mean = f"{sum(values) / len(values):.1f}"
    return f"{mean} ({min(values):.1f} to {max(values):.1f})" if len(values) > 1 else mean


if __name__ == "__main__":
    main()
