"""What a run ran on: code, packages, device, command."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from pcdet_poly.config.plugins import list_plugins
from pcdet_poly.errors import UserError
from pcdet_poly.version import __version__

_PACKAGES = ("torch", "numpy", "numba", "scipy", "pydantic", "protobuf", "pyarrow", "triton", "spconv", "spconv-triton")


def pick_device(name: str) -> torch.device:
    """Return the device called `cpu` or `cuda`, or for `auto` the GPU where there is one."""
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: torch sees no GPU here; use --device cpu, or a CUDA build of torch")
    return torch.device("cuda" if name == "cuda" or (name == "auto" and torch.cuda.is_available()) else "cpu")


def describe_environment(device: torch.device, seed: int) -> dict[str, Any]:
    """Return everything but the config that may change a result, as plain types."""
    return {
        "command": shlex.join(sys.argv),
        "plugins": list(list_plugins()),
        "git": read_git_commit(),
        "pcdet_poly": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: found for name in _PACKAGES if (found := find_package_version(name)) is not None},
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu ({platform.machine()})",
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "seed": seed,
    }


@cache
def read_git_commit() -> str | None:
    """Return the commit of the code, with `+` where files differ from it; None outside a repository."""
    folder = Path(__file__).parent
    try:
        command = ["git", "-C", str(folder), "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty=+"]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def find_package_version(package: str) -> str | None:
    """Return the version of an installed package; None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def name_processor() -> str:
    """Return the processor's name, or its kind where the system does not tell the name."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
