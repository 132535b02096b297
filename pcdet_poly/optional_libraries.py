"""Heavy libraries that need a hand to load; the one home of their imports."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from pcdet_poly.errors import UserError


@cache
def load_open3d() -> Any:
    """Return the module open3d. Raises UserError where it is not installed or does not load.

    It needs libusb-1.0, which slim Linux machines lack: the pip package libusb-package brings one.
    """
    import ctypes

    try:
        import libusb_package

        ctypes.CDLL(str(libusb_package.get_library_path()), mode=ctypes.RTLD_GLOBAL)
    except ImportError:
        pass  # the system has one, or open3d does without
    try:
        import open3d as module
    except (ImportError, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(
            f"open3d is needed to simulate records and for the window of `view`, and nothing else ({reason}); "
            "docs/installation.md says where it can be installed"
        ) from error
    return module


def import_ray() -> Any:
    """Return the module ray. Raises UserError where it is not installed."""
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else Ray warns on machines without a GPU
    try:
        import ray
    except ImportError as error:
        raise UserError("--executor ray: Ray is not installed; run: pip install 'ray==2.60.0'") from error
    return ray


def import_rerun() -> Any:
    """Return the module rerun. Raises UserError where it is not installed."""
    try:
        import rerun
    except ImportError as error:
        raise UserError("--rerun: Rerun is not installed; run: pip install 'rerun-sdk==0.41.0'") from error
    return rerun


def import_onnxruntime() -> Any:
    """Return the module onnxruntime, without its telemetry, which also warns where the home folder cannot be written.

    Raises UserError where it is not installed.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        import onnxruntime
    except ImportError as error:
        raise UserError("onnxruntime is not installed; pip install onnxruntime") from error
    return onnxruntime


def import_openvino() -> Any:
    """Return the module openvino, without its telemetry. Raises UserError where it is not installed."""
    try:
        import openvino
    except ImportError as error:
        raise UserError("openvino is not installed; pip install openvino") from error
    return openvino


def import_quantization() -> Any:
    """Return the module onnxruntime.quantization. Raises UserError where onnxruntime or onnx is not installed."""
    import_onnxruntime()
    try:
        from onnxruntime import quantization
    except ImportError as error:
        raise UserError(f"{error.name} is not installed; pip install onnx onnxruntime onnxscript") from error
    return quantization
