"""What numbers depend on besides the code: processor, Python, libraries."""

from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path


def describe_environment() -> dict[str, str]:
    """The processor's model and the versions that may change a number."""
    libraries = ("torch", "numpy", "numba", "pyarrow", "scipy")
    return {
        "processor": _name_processor(),
        "python": platform.python_version(),
        **{name: version(name) for name in libraries},
    }


def _name_processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
