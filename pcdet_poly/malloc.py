"""Memory that is freed and needed again at once stays with the process."""

from __future__ import annotations

import ctypes
import os
from functools import cache

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_MMAP_MAX = -1, -3, -4  # glibc's malloc.h
_KEPT_BYTES = 1 << 28
_LARGEST_BYTES = 1 << 25  # glibc takes no more; a range image has a tenth of it
_SETTINGS = ("MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_")  # glibc's
_NEVER = -1  # as glibc has it: free memory at the end of the heap is never given back


@cache
def keep_freed_memory() -> None:
    """Let glibc keep up to 256 MB that this process frees, blocks up to 32 MB included.

    A Waymo frame's images, poses and points are 30 MB, new for every frame. Given back and asked for
    again, they cost 7,000 page faults a frame: a third of a conversion's time. Elsewhere than on glibc,
    nothing happens.
    """
    _set_options({_M_TRIM_THRESHOLD: _KEPT_BYTES, _M_MMAP_THRESHOLD: _LARGEST_BYTES})


@cache
def keep_all_freed_memory() -> None:
    """Let glibc keep all that this process frees, blocks of any size included: for networks on a CPU.

    A full-size detector's maps are 30 to 200 MB each. Given back and asked for again, they cost hundreds of thousands
    of page faults a pass, a tenth to a third of its time. What is kept is up to a third more than without: glibc
    cannot move what lies between freed blocks. Where the environment has settings for this (`MALLOC_MMAP_MAX_`,
    `MALLOC_TRIM_THRESHOLD_` and the like, `GLIBC_TUNABLES`), they stay. Elsewhere than on glibc, nothing happens.
    """
    if any(name in os.environ for name in _SETTINGS) or "glibc.malloc." in os.environ.get("GLIBC_TUNABLES", ""):
        return
    _set_options({_M_TRIM_THRESHOLD: _NEVER, _M_MMAP_MAX: 0})


def _set_options(options: dict[int, int]) -> None:
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):  # another C library
        return
    for name, value in options.items():
        mallopt(name, value)
