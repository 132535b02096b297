"""`@kernel`: compile a function with numba once per machine, not once per process.

The machine code is kept in `NUMBA_CACHE_DIR` if that is set, else beside the sources, in a folder
named after a digest of all of them: numba's own cache looks at the file of a kernel but not at the
files of the kernels it calls, and would go on running old code after a change in one of those. "All"
are those in this folder and in the kernel's own.
Where the folder cannot be written, numba falls back to the user's cache folder.

Kernels are serial (numba's parallel back end kills forked DataLoader workers) and release the GIL.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

from numba import config, njit

Function = TypeVar("Function", bound=Callable)


def kernel(function: Function) -> Function:
    """`function` compiled on its first call with given types, or loaded from disk if an earlier process did that."""
    # numba decides on a kernel's folder while it decorates it, from this global setting.
    before = config.CACHE_DIR  # type: ignore[attr-defined]
    config.CACHE_DIR = _cache_folder(Path(function.__code__.co_filename).resolve().parent)  # type: ignore[attr-defined]
    try:
        compiled: Any = njit(cache=True, nogil=True)(function)
    finally:
        config.CACHE_DIR = before  # type: ignore[attr-defined]
    return cast(Function, compiled)


@cache
def _cache_folder(sources: Path) -> str:
    here = Path(__file__).resolve().parent
    digest = hashlib.sha256()
    for source in (here.parent / "precision.py", *sorted({*here.glob("*.py"), *sources.glob("*.py")})):
        digest.update(source.read_bytes())
    base = os.environ.get("NUMBA_CACHE_DIR") or sources / "__pycache__"
    return str(Path(base) / f"pcdet_poly-{digest.hexdigest()[:12]}")
