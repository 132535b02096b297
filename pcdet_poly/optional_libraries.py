"""Heavy libraries that need a hand to load; the one home of their imports."""

from __future__ import annotations

from functools import cache
from typing import Any


@cache
def load_open3d() -> Any:
    """Return the module open3d.

    It needs libusb-1.0, which slim machines lack: the pip package libusb-package brings one.
    """
    import ctypes

    import libusb_package

    ctypes.CDLL(str(libusb_package.get_library_path()), mode=ctypes.RTLD_GLOBAL)
    import open3d as module

    return module
