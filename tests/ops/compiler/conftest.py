"""A small package of kernels in a temporary folder, edited and imported anew as by a later process."""

from __future__ import annotations

import importlib
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from numba.core import config

from pcdet_poly.ops.compiler import cache_folders, registry

SOURCES = {
    "__init__.py": "",
    "constants.py": "LIMIT = 3\nOTHER = 4\n",
    "callee.py": '''
from pcdet_poly.ops.compiler.kernel import kernel
from small_package.constants import LIMIT

STEP = 10


@kernel
def below(x):
    """A docstring."""
    return min(x, LIMIT)  # a comment


@kernel
def unused(x):
    return x
''',
    "caller.py": """
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from pcdet_poly.ops.compiler.kernel import kernel
from small_package import constants
from small_package.callee import below


@kernel
def twice(x):
    return 2 * below(x) + after(x)


@kernel(inline="always")
def after(x):
    return x * FACTOR


@kernel
def alone(x):
    return x + constants.OTHER


@intrinsic
def seven(typing_context):
    return types.int64(), lambda context, builder, signature, given: ir.Constant(ir.IntType(64), SEVEN)


@kernel
def written(x):
    return x + seven()


SEVEN = 7
FACTOR = 100
TABLE = np.arange(3)


@kernel
def table(x):
    return x + TABLE[1]
""",
}
KERNELS = ("callee.below", "callee.unused", "caller.twice", "caller.alone", "caller.table", "caller.written")


class SmallPackage:
    """`small_package` on disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "small_package"
        self.folder.mkdir()
        for name, text in SOURCES.items():
            (self.folder / name).write_text(text)

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace the text `old`, which must be there, in one file."""
        text = (self.folder / file).read_text()
        assert old in text
        (self.folder / file).write_text(text.replace(old, new))

    def load(self) -> dict[str, Callable]:
        """The kernels of the package as it is now, by module and name."""
        for name in [name for name in sys.modules if name.split(".")[0] == "small_package"]:
            del sys.modules[name]
        importlib.invalidate_caches()
        modules = {name: importlib.import_module(f"small_package.{name}") for name in ("callee", "caller")}
        return {name: getattr(modules[name.split(".")[0]], name.split(".")[1]) for name in KERNELS}

    def compile(self) -> dict[str, int]:
        """What each kernel gives for 5, and thereby compile all or load them from disk."""
        self.kernels = self.load()
        return {name: kernel(5) for name, kernel in self.kernels.items()}

    def compiled(self) -> set[str]:
        """Which kernels of the last `compile` were compiled, the others having come from disk."""
        return {name for name, kernel in self.kernels.items() if sum(kernel.stats.cache_misses.values())}


@pytest.fixture
def small_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallPackage]:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # out of date after two edits in one second
    monkeypatch.setattr(config, "CACHE_DIR", "")
    monkeypatch.setattr(registry, "_KERNELS_BY_SOURCE", defaultdict(dict))
    cache_folders._is_writable.cache_clear()
    yield SmallPackage(tmp_path)
    for name in [name for name in sys.modules if name.split(".")[0] == "small_package"]:
        del sys.modules[name]
