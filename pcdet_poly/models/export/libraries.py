"""Whether the libraries that an export needs are installed."""

from __future__ import annotations

from pcdet_poly.errors import UserError


def check_onnx_installed() -> None:
    """Raise UserError, which says what to install, where ONNX's libraries are missing."""
    try:
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UserError(f"{error.name} is not installed; pip install onnx onnxruntime onnxscript") from None
