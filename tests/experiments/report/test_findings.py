"""The report's sentences, and what they are said of."""

from __future__ import annotations

from pcdet_poly.experiments.report.detector_report import DetectorReport
from pcdet_poly.experiments.report.metrics import (
    MEAN,
)


def test_controls_are_judged(small_report: DetectorReport) -> None:
    (line,) = [line for line in small_report.findings if line.startswith("Control drop1 should be worse")]
    one = next(d for d in small_report.list_ranking_differences() if d.arm == "drop1" and d.cell[0] == MEAN)
    assert ("NOT seen" in line) == (not one.claim.high < 0)
