"""The libraries that an export needs: whether they are installed."""

from __future__ import annotations

from pcdet_poly.errors import UserError
from pcdet_poly.optional_libraries import import_onnxruntime


def check_onnx_installed() -> None:
    """Raise UserError, which says what to install, where ONNX's libraries are missing."""
    try:
        import_onnxruntime()
        import onnxscript  # noqa: F401
    except (ImportError, UserError) as error:
        missing = getattr(error, "name", "onnxruntime")
        raise UserError(f"{missing} is not installed; pip install onnx onnxruntime onnxscript") from None
