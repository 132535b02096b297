"""Numbers as the page's scripts read them: rounded, and null in place of NaN, which JSON does not know."""

from __future__ import annotations

import math

import numpy as np


def round_number(value: float) -> float | None:
    """Round to five digits; None for NaN and infinities."""
    return float(f"{value:.5g}") if math.isfinite(value) else None


def round_numbers(values: np.ndarray) -> list[float | None]:
    """Round every number of (N,)."""
    return [round_number(float(value)) for value in values]
