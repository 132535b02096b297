"""Every test with the fixture `device` runs once per backend: numba, and Triton on a GPU or in its interpreter."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module

import numpy as np
import pytest
import torch

from pcdet_poly.ops import dispatch


@pytest.fixture(params=["numba", "triton"])
def backend(request: pytest.FixtureRequest) -> str:
    """Which implementation a test runs."""
    if request.param == "triton":
        pytest.importorskip("triton")
    return str(request.param)


@pytest.fixture
def device(backend: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where a test's tensors go for the backend at hand; "cpu" for Triton's interpreter."""
    if backend == "numba":
        return "cpu"
    if torch.cuda.is_available():
        return "cuda"
    monkeypatch.setattr(dispatch, "find_function", interpreted)
    return "cpu"


@pytest.fixture
def num_trials(backend: str) -> int:
    """Random inputs for a fuzz test. `PCDET_POLY_FUZZ=10000 pytest tests/ops -k fuzz` runs the long version."""
    if backend == "numba":
        return int(os.environ.get("PCDET_POLY_FUZZ", "300"))
    return 50 if torch.cuda.is_available() else 5


def interpreted(device: str, file: str, name: str) -> Callable[..., object]:
    """The function in ops/gpu/, on CPU tensors, for a caller who expects the one in ops/cpu/, on arrays."""
    function = getattr(import_module(f"pcdet_poly.ops.gpu.{file}"), name)

    def on_arrays(*arguments: object) -> object:
        tensors = [torch.from_numpy(x) if isinstance(x, np.ndarray) else x for x in arguments]
        with np.errstate(all="ignore"):  # NaN and infinity are among the inputs
            result = function(*tensors)
        return tuple(x.numpy() for x in result) if isinstance(result, tuple) else result.numpy()

    return on_arrays
