"""metrics.json as a table for people, and as single numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

_PREFIX = "OBJECT_TYPE_TYPE_"


def print_table(metrics: Mapping[str, Any], *, title: str) -> None:
    """Print one row per breakdown: 3D and BEV, AP and APH, in per cent."""
    table = Table(title=title)
    table.add_column("breakdown")
    for box in ("3D", "BEV"):
        for name in ("AP", "APH"):
            table.add_column(f"{box} {name}", justify="right")
    for breakdown in metrics["3D"]:
        values = [_percent(metrics[box][breakdown][name]) for box in ("3D", "BEV") for name in ("ap", "aph")]
        table.add_row(breakdown.removeprefix(_PREFIX), *values)
    Console().print(table)


def flat_scores(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Every finite number by a short name, such as `BEV/VEHICLE_LEVEL_1/aph`."""
    return {
        f"{box}/{breakdown.removeprefix(_PREFIX)}/{name}": value
        for box in ("3D", "BEV")
        for breakdown, numbers in metrics[box].items()
        for name, value in numbers.items()
        if _finite(value)
    }


def mean_level_2_aph(metrics: Mapping[str, Any], box: str, classes: Sequence[str]) -> float:
    """Waymo's ranking: mean LEVEL_2 APH over `classes`, those without a number left out; 0 if all are."""
    names = (f"{_PREFIX}{name}_LEVEL_2" for name in classes)
    values = [metrics[box][name]["aph"] for name in names if _finite(metrics[box].get(name, {}).get("aph"))]
    return sum(values) / len(values) if values else 0.0


def _percent(value: float | None) -> str:
    return f"{100 * value:.2f}" if _finite(value) else "-"


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
