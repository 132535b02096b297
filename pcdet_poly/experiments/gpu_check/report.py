"""What a check found: kept beside its report, so that it goes on where it was stopped, and as a section of Markdown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pcdet_poly.errors import UserError
from pcdet_poly.experiments.gpu_check.checks import PARTS
from pcdet_poly.files import atomic_path, write_json

Found = dict[str, dict[str, dict[str, Any]]]  # by part and item

_BEGIN, _END = "<!-- gpu-check begins -->", "<!-- gpu-check ends -->"
_HEADS = {
    "ms": "ms",
    "cpu_ms": "CPU ms",
    "times": "CPU / GPU",
    "gb": "peak GB",
    "network_ms": "network alone ms",
    "their_ms": "the package's ms",
    "first": "first loss",
    "last": "last loss",
    "is_right": "right",
    "mb": "MB",
}


def read_found(path: Path, machine: Mapping[str, Any]) -> Found:
    """Read what an earlier check found on this machine; nothing where it was another one, or there was none."""
    if not path.is_file():
        return {}
    try:
        kept = json.loads(path.read_text("utf-8"))
        return kept.get("found", {}) if kept.get("machine") == dict(machine) else {}
    except (json.JSONDecodeError, AttributeError) as error:
        raise UserError(f"{path}: no results of gpu-check, or damaged ones; remove it") from error


def keep_found(path: Path, machine: Mapping[str, Any], found: Found) -> None:
    """Keep what was found.

    Args:
        path: of the file.
        machine: what it was found on.
        found: by part and item.
    """
    write_json(path, {"machine": dict(machine), "found": found})


def write_section(path: Path, machine: Mapping[str, Any], found: Found) -> None:
    """Write the section of the check into a Markdown file, in place of an earlier one, after what else is there.

    Args:
        path: of the file; it need not be there.
        machine: what it was found on.
        found: by part and item.
    """
    before = path.read_text("utf-8") if path.is_file() else ""
    section = f"{_BEGIN}\n{format_section(machine, found)}{_END}\n"
    if _BEGIN in before and _END in before:
        head, _, rest = before.partition(_BEGIN)
        text = head + section + rest.partition(_END)[2].removeprefix("\n")
    else:
        text = f"{before.rstrip()}\n\n{section}" if before.strip() else section
    with atomic_path(path) as temporary:
        temporary.write_text(text, "utf-8", newline="\n")


def format_section(machine: Mapping[str, Any], found: Found) -> str:
    """Format what was found as Markdown: a table for each part."""
    lines = [f"## A GPU (`pcdet-poly gpu-check`): {machine['device']}", ""]
    versions = {**machine, **machine.get("packages", {})}
    lines += [
        ", ".join(f"{name} {value}" for name, value in versions.items() if name not in ("device", "packages")),
        "",
    ]
    for name, items in found.items():
        part = PARTS[name]
        columns = [column for column in part.columns if any(column in item for item in items.values())]
        lines += [f"### {part.title}", ""]
        lines += ["| " + " | ".join(["", *(_HEADS.get(column, column) for column in columns), ""]) + " |"]
        lines += ["|" + "---|" * (len(columns) + 2)]
        for item, values in items.items():
            note = values.get("fault") or ("left out " + values["left_out"] if "left_out" in values else "")
            cells = [_format_value(values.get(column)) for column in columns]
            lines += ["| " + " | ".join([item, *cells, str(note).replace("|", "/")]) + " |"]
        lines += [""]
    return "\n".join(lines)


def list_faults(found: Found) -> list[str]:
    """List what is wrong, one line each."""
    return [
        f"{PARTS[part].title}: {item}: {values['fault']}"
        for part, items in found.items()
        for item, values in items.items()
        if values.get("fault")
    ]


def _format_value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3g}"
    return "" if value is None else str(value)
