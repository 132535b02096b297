"""`@kernel`: compile a function with numba once per machine, not once per process.

Kernels are serial (numba's parallel back end kills forked DataLoader workers) and release the GIL.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeVar, cast, overload

from numba import njit
from numba.core.dispatcher import Dispatcher

from pcdet_poly.ops.compiler.disk_cache import DiskCache
from pcdet_poly.ops.compiler.registry import register_kernel

Function = TypeVar("Function", bound=Callable)


@overload
def kernel(function: Function) -> Function: ...


@overload
def kernel(*, inline: Literal["never", "always"]) -> Callable[[Function], Function]: ...


def kernel(function: Any = None, *, inline: Literal["never", "always"] = "never") -> Any:
    """Make a kernel of a function that numba can compile: `@kernel`, or `@kernel(inline="always")`.

    The kernel is compiled on its first call with arguments of given types, or loaded from disk if an earlier
    process compiled it (see `disk_cache`). With `inline="always"` its lines are copied into the kernels that call it.
    """
    if function is None:
        return lambda given: _compile_lazily(given, inline)
    return _compile_lazily(function, inline)


def _compile_lazily(function: Function, inline: Literal["never", "always"]) -> Function:
    compiled: Any = njit(nogil=True, inline=inline)(function)
    if isinstance(compiled, Dispatcher):  # NUMBA_DISABLE_JIT leaves plain functions
        # numba's public arguments know no other cache than its own.
        compiled._cache = DiskCache(compiled)  # type: ignore[attr-defined]
        register_kernel(compiled)
    return cast(Function, compiled)
