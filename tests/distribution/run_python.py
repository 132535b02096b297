"""Python as a process of its own, for tests of what is installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def run_python(*words: str | Path, cwd: Path, **variables: str) -> str:
    """Run Python as a process and return what it printed; a failure shows what it said."""
    command = [sys.executable, *map(str, words)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=os.environ | variables, timeout=3600)
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout
