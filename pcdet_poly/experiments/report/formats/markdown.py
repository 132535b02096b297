"""A report as Markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from pcdet_poly.evaluation.table_text import format_markdown_table
from pcdet_poly.experiments.report.detector_report import DetectorReport, describe_report
from pcdet_poly.experiments.report.finished_sweep import FinishedSweep
from pcdet_poly.experiments.report.formats.paper_results import PAPER, PaperRow
from pcdet_poly.experiments.report.metrics import ArmDifference, DetectorMetrics, TableCell
from pcdet_poly.experiments.report.sentences.number_words import format_gain


def format_markdown(sweep: FinishedSweep, reports: Sequence[DetectorReport]) -> str:
    """Write the whole report."""
    blocks = [f"# {sweep.name}", format_left_out(sweep), *(_format_report(sweep, report) for report in reports)]
    return "\n\n".join(block for block in blocks if block) + "\n"


def format_left_out(sweep: FinishedSweep) -> str:
    """List the trials that are in no number, each with its reason."""
    if not sweep.excluded:
        return f"All {sweep.num_trials} trials are in the numbers."
    lines = [f"- **{one.trial}**: {one.reason}" for one in sweep.excluded]
    return "\n".join([f"{len(lines)} of {sweep.num_trials} trials are in no number:", "", *lines])


def name_figure(report: DetectorReport) -> str:
    """Name the file of the figure of differences, beside report.md."""
    return f"differences_{report.detector.name}.png"


def name_size_figure(report: DetectorReport) -> str:
    """Name the file of the figure of the size curve, beside report.md."""
    return f"sizes_{report.detector.name}.png"


def _format_report(sweep: FinishedSweep, report: DetectorReport) -> str:
    blocks = [
        f"## {report.detector.name}",
        describe_report(sweep, report) + ".",
        "\n".join(f"- {line}" for line in report.findings),
        "### AP/APH, mean over seeds (sd), per cent",
        _format_paper_layout(report),
        f"### Difference from {report.detector.baseline}, {report.metrics.ranking}, points",
        _format_differences(report),
        f"![Differences with 95 % intervals]({name_figure(report)})",
        f"![The main metric against the size of the gradient]({name_size_figure(report)})" if report.size_curve else "",
        "### What the loss did",
        _format_losses(report),
    ]
    return "\n\n".join(block for block in blocks if block)


def _format_paper_layout(report: DetectorReport) -> str:
    metrics = report.metrics
    columns = [(box_type, level) for box_type in metrics.box_types for level in metrics.levels]
    head = ["class", "method", *(f"{box_type} L{level}" for box_type, level in columns)]
    rows = []
    for name in metrics.shown_classes:
        rows += [[name.lower(), arm, *(_format_ap_aph(metrics, arm, name, *c) for c in columns)] for arm in report.arms]
        rows += [
            [name.lower(), f"*paper: {row.method}*", *(_format_paper_cell(row, c) for c in columns)]
            for row in PAPER
            if row.class_name == name
        ]
    return format_markdown_table(head, rows)


def _format_ap_aph(metrics: DetectorMetrics, arm: str, class_name: str, box_type: str, level: int) -> str:
    cells = [TableCell(class_name, box_type, level, metric) for metric in ("ap", "aph")]
    return "/".join(_format_mean_sd(metrics.get_points(arm, cell)) for cell in cells)


def _format_mean_sd(values: np.ndarray) -> str:
    sd = f" ({values.std(ddof=1):.1f})" if len(values) > 1 else ""
    return f"{values.mean():.1f}{sd}"


def _format_paper_cell(row: PaperRow, column: tuple[str, int]) -> str:
    ap, aph = row.cells.get(column, (None, None))
    return "" if ap is None else f"{ap:.1f}/{'' if aph is None else f'{aph:.1f}'}"


def _format_differences(report: DetectorReport) -> str:
    p = ("p", "p (Holm)", "p (Holm, all)")
    head = ["arm", "class", "pairs", "over seeds", "over segments", "over both", *p, "detectable"]
    in_order = sorted(report.list_ranking_differences(), key=lambda one: report.arms.index(one.arm))
    notes = (
        "95 % intervals. Over seeds: other seeds on these segments. Over segments: these networks on other segments. "
        "Over both: what p is of. Holm: corrected over the arm's classes, or over all arms and classes; in the rows of "
        "the mean, corrected over all arms (Dunnett). Exploratory but for the answers above. Detectable: the smallest "
        "true difference that Holm over all arms and classes finds with 80 % power, from a deviation pooled over arms."
    )
    return f"{format_markdown_table(head, [_format_difference(report, one) for one in in_order])}\n\n{notes}"


def _format_difference(report: DetectorReport, one: ArmDifference) -> list[str]:
    p = report.adjusted_p.get((one.arm, one.cell.class_name))
    adjusted = (p.over_classes, p.over_everything) if p else (math.nan, math.nan)
    all_p = [_format_number(value, ".3f") for value in (float(one.claim.p), *adjusted)]
    start = [one.arm, one.cell.class_name.lower(), str(len(one.seeds))]
    intervals = map(format_gain, (one.over_seeds, one.over_segments, one.over_both))
    return [*start, *intervals, *all_p, _format_number(one.detectable, ".2f")]


def _format_losses(report: DetectorReport) -> str:
    names = list(dict.fromkeys(name for one in report.losses for name in one.at_end))
    head = ["arm", *names, "calibration error"]
    rows = [
        [
            one.arm,
            *(_format_number(one.at_end.get(name, math.nan), ".3f") for name in names),
            f"{one.calibration_error:.3f}",
        ]
        for one in report.losses
    ]
    table = format_markdown_table(head, rows)
    return f"{table}\n\nMeans over seeds and the last fifth of the training; losses as weighted in the total."


def _format_number(value: float, form: str) -> str:
    return "" if math.isnan(value) else format(value, form)
