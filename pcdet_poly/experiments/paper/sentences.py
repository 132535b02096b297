"""What a row of the report says, in words."""

from __future__ import annotations

import math

from pcdet_poly.experiments.paper.rows import PaperRow
from pcdet_poly.experiments.statistics import LEVEL


def format_difference(row: PaperRow) -> str:
    """Write the difference with its interval: "+0.40 [-0.10, +0.90]"; without one for too few seeds."""
    limits = "" if math.isnan(row.low) else f" [{row.low:+.2f}, {row.high:+.2f}]"
    return f"{row.difference:+.2f}{limits}"


def describe_verdict(row: PaperRow) -> str:
    """Say what the study can say about an arm."""
    if math.isnan(row.p):
        return "not tested: too few seeds"
    if row.p <= LEVEL:
        return "better" if row.difference > 0 else "worse"
    return f"not seen; {row.detectable:.2f} would be"
