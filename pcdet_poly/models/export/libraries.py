"""The libraries that an export needs: whether they are installed, and that they say nothing about it to anybody."""

from __future__ import annotations

import os
from typing import Any

from pcdet_poly.errors import UserError


def check_onnx_installed() -> None:
    """Raise UserError, which says what to install, where ONNX's libraries are missing."""
    try:
        import_onnxruntime()
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UserError(f"{error.name} is not installed; pip install onnx onnxruntime onnxscript") from None


def import_onnxruntime() -> Any:
    """Import onnxruntime without its telemetry, which also warns where the home folder cannot be written."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    return onnxruntime
