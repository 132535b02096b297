"""metrics.json as a table for people, and as single numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pcdet_poly.evaluation.table_text import NO_LABELS, build_terminal_table

_PREFIX = "OBJECT_TYPE_TYPE_"


def print_table(metrics: Mapping[str, Any], classes: Sequence[str], *, title: str) -> None:
    """Print one row per shard of the classes: AP/APH in per cent, for every box type and level. Fits 80 columns.

    A class without labels says so; shards of other breakdowns that have no object at any level are left out.

    Args:
        metrics: content of metrics.json.
        classes: names of the classes whose rows are shown.
        title: line above the table.
    """
    from rich.console import Console

    boxes = [name for name in metrics if name != "meta"]
    names = [_split_breakdown(name) for name in metrics[boxes[0]] if belongs_to_classes(classes, name)]
    columns = [(box, level) for box in boxes for level in dict.fromkeys(level for _, level in names)]
    heads = ("AP/APH", *(f"{box} L{level[-1]}" for box, level in columns))
    rows = []
    for shard in dict.fromkeys(shard for shard, _ in names):
        shown = [_format_cell(metrics, box, f"{shard}_{level}") for box, level in columns]
        if shard.startswith(_PREFIX) or any(has_labels(metrics, f"{shard}_{level}") for _, level in columns):
            rows.append((shard.removeprefix(_PREFIX).removeprefix("RANGE_TYPE_").replace("_[", " ["), *shown))
    Console().print(build_terminal_table(heads, rows, title=title, compact=True), markup=False)


def _format_cell(metrics: Mapping[str, Any], box: str, breakdown: str) -> str:
    cell = metrics[box][breakdown]
    return f"{100 * cell['ap']:.2f}/{100 * cell['aph']:.2f}" if has_labels(metrics, breakdown) else NO_LABELS


def has_labels(metrics: Mapping[str, Any], breakdown: str) -> bool:
    """Return whether any object counts in a row of metrics.json; where that is not recorded, it is taken to be so."""
    return bool(metrics.get("meta", {}).get("objects", {}).get(breakdown, 1))


def _split_breakdown(breakdown: str) -> tuple[str, str]:
    """Split `OBJECT_TYPE_TYPE_SIGN_LEVEL_1` into `OBJECT_TYPE_TYPE_SIGN` and `LEVEL_1`."""
    shard, _, number = breakdown.rpartition("_LEVEL_")
    return shard, f"LEVEL_{number}"


def flatten_scores(metrics: Mapping[str, Any], classes: Sequence[str]) -> dict[str, float]:
    """Return AP and APH of `classes` that have labels by short names, such as `BEV/VEHICLE_LEVEL_1/aph`."""
    return {
        f"{box}/{breakdown.removeprefix(_PREFIX)}/{name}": rows[breakdown][name]
        for box, rows in metrics.items()
        if box != "meta"
        for breakdown in rows
        if breakdown.startswith(_PREFIX) and belongs_to_classes(classes, breakdown) and has_labels(metrics, breakdown)
        for name in ("ap", "aph")
    }


def belongs_to_classes(classes: Sequence[str], breakdown: str) -> bool:
    """Return whether a breakdown is of one of `classes`, or of no particular class."""
    return "_TYPE_" not in breakdown or any(f"_TYPE_{name}_" in breakdown for name in classes)
