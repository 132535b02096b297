"""Every setting of the configs, as `--explain` shows it."""

from __future__ import annotations

import re

from benchmarks.trace.commands import ROOT, run_script

# `key = value`, then at least two spaces, then where it came from and what it means, which may be worded anew.
LINE = re.compile(r"(?P<key>[\w.]+) = (?P<value>.*?)  ")


def trace_settings() -> dict[str, dict[str, str]]:
    """Key -> value of each file in configs/, by its name; files in folders below are not looked at."""
    return {path.name: read_settings(f"configs/{path.name}") for path in sorted((ROOT / "configs").glob("*.yaml"))}


def read_settings(config: str) -> dict[str, str]:
    """Key -> value of one config, both as text."""
    lines = run_script("train.py", config, "--explain").splitlines()
    found = [LINE.match(line) for line in lines]
    return dict(sorted((match["key"], match["value"].strip()) for match in found if match))
