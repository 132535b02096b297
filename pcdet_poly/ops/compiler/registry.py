"""All kernels of this process, by the source file and the module that define them."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from numba.core.dispatcher import Dispatcher

_KERNELS_BY_SOURCE: dict[Path, dict[str, Dispatcher]] = defaultdict(dict)


def register_kernel(kernel: Dispatcher) -> None:
    """Remember a kernel. One of the same name and file, from before a reload, is forgotten."""
    _KERNELS_BY_SOURCE[find_source_file(kernel)][kernel.py_func.__qualname__] = kernel


def find_source_file(kernel: Dispatcher) -> Path:
    """Find the file that defines a kernel; it may be gone, or a cell of a notebook."""
    return Path(kernel.py_func.__code__.co_filename).absolute()


def list_kernels(source: Path) -> tuple[Dispatcher, ...]:
    """List the kernels that a file defines, as far as its module has run."""
    return tuple(_KERNELS_BY_SOURCE.get(source, {}).values())


def select_kernels(*packages: str) -> tuple[Dispatcher, ...]:
    """Select the kernels in `packages`, such as "pcdet_poly.ops", that are imported and compiled on their own."""
    every_kernel = (kernel for kernels in _KERNELS_BY_SOURCE.values() for kernel in kernels.values())
    prefixes = tuple(f"{package}." for package in packages)
    return tuple(
        kernel
        for kernel in every_kernel
        if f"{kernel.py_func.__module__}.".startswith(prefixes) and kernel.targetoptions.get("inline") != "always"
    )
