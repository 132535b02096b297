"""Run the project's commands in processes of their own, on one core and without a GPU."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Sums of floating-point numbers depend on how threads share them out.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "",
    "MPLBACKEND": "Agg",
    "PYTHONPATH": "",
}


def run_script(script: str, *arguments: str | Path) -> str:
    """Run a script of the repository by its path from the root; return what it prints. Raises where it fails."""
    return _run(script, *arguments)


def run_module(module: str, *arguments: str | Path) -> str:
    """Run `python -m module` in the repository's root; return what it prints. Raises where it fails."""
    return _run("-m", module, *arguments)


def _run(*words: str | Path) -> str:
    command = [sys.executable, *map(str, words)]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | ENVIRONMENT, capture_output=True, text=True, errors="replace"
    )
    if done.returncode:
        said = done.stdout[-2000:] + done.stderr[-4000:]
        raise SystemExit(f"{' '.join(command)}\nended with {done.returncode}:\n{said}")
    return done.stdout
