"""Numbers in sentences: means with their intervals, p."""

from __future__ import annotations

import math

from pcdet_poly.experiments.statistics import Estimate


def format_gain(e: Estimate) -> str:
    """Write a mean with its interval, or the mean alone where there is no interval: `+1.20 [+0.30, +2.10]`."""
    limits = "" if math.isnan(e.low) else f" [{float(e.low):+.2f}, {float(e.high):+.2f}]"
    return f"{float(e.mean):+.2f}{limits}"


def format_p(p: float) -> str:
    """Write p with two digits: `0.034`, `2.1e-07`; `not tested` for NaN."""
    if math.isnan(p):
        return "not tested"
    return f"{p:.2g}" if p < 0.1 else f"{p:.2f}"
