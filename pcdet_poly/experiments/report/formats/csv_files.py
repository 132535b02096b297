"""A report's numbers as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from pcdet_poly.experiments.report.detector_report import DetectorReport
from pcdet_poly.experiments.report.metrics import ArmDifference


def format_runs_csv(reports: Sequence[DetectorReport]) -> str:
    """Write runs.csv: one line per run, class, box type, level and metric."""
    lines: list[tuple[object, ...]] = [("model", "arm", "seed", "class", "part", "level", "metric", "points")]
    for report in reports:
        name = report.detector.name
        for cell in report.metrics.list_cells():
            for arm in report.arms:
                points, seeds = report.metrics.get_points(arm, cell), report.detector.runs[arm]
                lines += [(name, arm, s, *cell, f"{value:.6f}") for s, value in zip(seeds, points, strict=True)]
    return _format_csv(lines)


def format_differences_csv(reports: Sequence[DetectorReport]) -> str:
    """Write differences.csv: one line per arm, class, box type, level and metric."""
    limits = [f"{way}_{name}" for way in ("seeds", "segments", "both") for name in ("low", "high", "p")]
    where = ("model", "arm", "class", "part", "level", "metric")
    lines: list[tuple[object, ...]] = [(*where, "pairs", "difference", *limits, "detectable")]
    for report in reports:
        lines += [(report.detector.name, one.arm, *one.cell, *_list_values(one)) for one in report.differences]
    return _format_csv(lines)


def format_sizes_csv(reports: Sequence[DetectorReport]) -> str:
    """Write sizes.csv: the gradient size of every arm that has one, and whether it has a polynomial (1) or not (0)."""
    lines: list[tuple[object, ...]] = [("model", "arm", "size", "polynomial")]
    for report in reports:
        name = report.detector.name
        lines += [(name, arm, f"{one.size:.4g}", int(one.is_polynomial)) for arm, one in report.sizes.items()]
    return _format_csv(lines)


def _list_values(one: ArmDifference) -> list[str]:
    estimates = (one.over_seeds, one.over_segments, one.over_both)
    limits = [f"{float(value):.6g}" for e in estimates for value in (e.low, e.high, e.p)]
    return [str(len(one.seeds)), f"{float(one.over_seeds.mean):.6f}", *limits, f"{one.detectable:.6g}"]


def _format_csv(lines: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue()
