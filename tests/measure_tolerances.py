"""Prints which tolerances are nearly used up: `python -m pytest -p tests.measure_tolerances tests/losses`.

A plugin of pytest. Each `assert_allclose`, `assert_close` and `approx` that holds is asked how large the error was
beside what is allowed; the places of which more than a quarter is used are printed, the worst first.
"""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np
import pytest
import torch
from _pytest.python_api import ApproxScalar

LARGEST_SHARE = 0.25
_DEFAULTS = {torch.float64: (1e-7, 1e-7), torch.float32: (1.3e-6, 1e-5), torch.bfloat16: (1.6e-2, 1e-5)}  # torch's
_shares: dict[str, float] = {}
_allclose, _close, _equals = np.testing.assert_allclose, torch.testing.assert_close, ApproxScalar.__eq__


def note_share(share: float) -> None:
    """Note which share of its tolerance the test's line that is running has used."""
    frame = sys._getframe(1)
    while frame.f_back is not None and ("/tests/" not in frame.f_code.co_filename or frame.f_globals is globals()):
        frame = frame.f_back
    place = f"{frame.f_code.co_filename.rpartition('/tests/')[2]}:{frame.f_lineno}"
    if math.isfinite(share):
        _shares[place] = max(share, _shares.get(place, 0.0))


def compute_share(found: Any, wanted: Any, rtol: Any, atol: Any) -> float:
    """Compute the largest error as a share of what is allowed."""
    found, wanted = np.asarray(found), np.asarray(wanted)
    if not found.size or not wanted.size or found.dtype.kind not in "fciu":
        return 0.0
    error = np.abs(found - wanted)
    with np.errstate(all="ignore"):
        return float(np.nanmax(np.where(error == 0, 0, error / (atol + rtol * np.abs(wanted)))))


def assert_allclose(actual: Any, desired: Any, rtol: Any = 1e-7, atol: Any = 0, **others: Any) -> None:
    """Assert as numpy does, and note the share."""
    _allclose(actual, desired, rtol, atol, **others)
    note_share(compute_share(actual, desired, rtol, atol))


def assert_close(actual: Any, expected: Any, *, rtol: Any = None, atol: Any = None, **others: Any) -> None:
    """Assert as torch does, and note the share."""
    _close(actual, expected, rtol=rtol, atol=atol, **others)
    if isinstance(actual, torch.Tensor) and actual.dtype in _DEFAULTS:
        relative, absolute = _DEFAULTS[actual.dtype] if rtol is None else (rtol, atol)
        sides = (side.detach().cpu().double().numpy() for side in (actual, expected))
        note_share(compute_share(*sides, relative, absolute))


def equals(self: Any, actual: Any) -> bool:
    """Compare as `approx` does, and note the share of what is equal."""
    is_equal = bool(_equals(self, actual))
    if is_equal and isinstance(self.expected, float) and self.tolerance:
        note_share(abs(float(actual) - self.expected) / float(self.tolerance))
    return is_equal


def pytest_configure() -> None:
    """Put the measuring functions in place of the others."""
    np.testing.assert_allclose = assert_allclose
    torch.testing.assert_close = assert_close
    ApproxScalar.__eq__ = equals  # type: ignore[method-assign]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the places of which more than a quarter is used."""
    worst = sorted(((share, place) for place, share in _shares.items() if share > LARGEST_SHARE), reverse=True)
    for share, place in worst:
        terminalreporter.write_line(f"{share:5.2f} of its tolerance: tests/{place}")
    terminalreporter.write_line(f"{len(_shares)} tolerances, {len(worst)} of them used by more than a quarter")
