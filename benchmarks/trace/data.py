"""Bytes of simulated segments and of what the data tools make of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.trace.commands import run_script
from benchmarks.trace.digest import digest_files

SIMULATE = ("data_tools/simulate_waymo.py", "--interval-s", "0.5", "--seed", "5", "--workers", "1")


def trace_data(folder: Path) -> dict[str, Any]:
    """Simulate two segments as records and one as tables, convert them, cut the objects out; digest every file.

    Leaves `store` (6 frames) and `bank/objects.arrow` in `folder`. Manifests are included: they name the files of their
    sources, not the folders these lie in.
    """
    simulate, convert = SIMULATE, "data_tools/preprocess_waymo.py"
    run_script(*simulate, "--segments", "2", "--frames", "3", folder / "v1")
    run_script(*simulate, "--segments", "1", "--frames", "1", "--format", "v2", folder / "v2")
    run_script(convert, folder / "v1", "--output", folder / "store", "--workers", "1")
    run_script(convert, folder / "v2", "--output", folder / "store_v2", "--precision", "exact", "--workers", "1")
    bank = ("--output", folder / "bank" / "objects.arrow", "--workers", "1")
    (folder / "bank").mkdir()
    run_script("data_tools/build_object_bank.py", folder / "store", *bank)
    names = {
        "v1 records": "v1",
        "v2 tables": "v2",
        "store of v1, compact": "store",
        "store of v2, exact": "store_v2",
        "object bank": "bank",
    }
    return {title: digest_files(folder / name) for title, name in names.items()}
