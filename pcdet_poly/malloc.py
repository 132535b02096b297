"""Memory that is freed and needed again at once stays with the process."""

from __future__ import annotations

import ctypes
from functools import cache

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
_KEPT_BYTES = 1 << 28
_LARGEST_BYTES = 1 << 25  # glibc takes no more; a range image has a tenth of it


@cache
def keep_freed_memory() -> None:
    """Let glibc keep up to 256 MB that this process frees, blocks up to 32 MB included.

    A Waymo frame's images, poses and points are 30 MB, new for every frame. Given back and asked for
    again, they cost 7,000 page faults a frame: a third of a conversion's time. Elsewhere than on glibc,
    nothing happens.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):  # another C library
        return
    mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
    mallopt(_M_MMAP_THRESHOLD, _LARGEST_BYTES)
