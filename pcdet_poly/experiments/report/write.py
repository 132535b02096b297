"""A sweep's folder -> report.md with a figure per detector, report.html and tables (CSV)."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pcdet_poly.names.shown_names import print_line, print_lines

if TYPE_CHECKING:
    from pcdet_poly.experiments.report.detector_report import ReportSizes


def write_report(folder: Path, output: Path, sizes: ReportSizes, *, formats: Sequence[str] = ("png",)) -> None:
    """Read a sweep, compute, write the report; print the paths of what was written.

    Args:
        folder: folder that `pcdet-poly sweep` made.
        output: folder to write into; made if missing.
        sizes: how much to compute and to show.
        formats: of the figures: png, svg, pdf; the PNG that report.md shows is written in any case.

    Raises:
        UserError: `folder` is not a sweep's.
    """
    from pcdet_poly.experiments.report.detector_report import build_reports
    from pcdet_poly.experiments.report.formats.answers_csv import NAME as ANSWERS
    from pcdet_poly.experiments.report.formats.answers_csv import format_answers_csv
    from pcdet_poly.experiments.report.formats.csv_files import (
        format_differences_csv,
        format_runs_csv,
        format_sizes_csv,
    )
    from pcdet_poly.experiments.report.formats.differences_figure import draw_differences
    from pcdet_poly.experiments.report.formats.markdown import format_markdown, name_figure, name_size_figure
    from pcdet_poly.experiments.report.formats.size_figure import draw_size_curve
    from pcdet_poly.experiments.report.formats.web_page import build_page
    from pcdet_poly.experiments.report.read_sweep import read_finished_sweep
    from pcdet_poly.experiments.sweep.folder import SweepFolder
    from pcdet_poly.figure_files import save_figure_in_formats
    from pcdet_poly.files import atomic_path

    sweep = read_finished_sweep(SweepFolder(folder))
    for one in sweep.excluded:
        print_line(f"warning: {one.trial} is in no number: {one.reason}", file=sys.stderr)
    reports = build_reports(sweep, sizes)
    texts = {
        "report.md": format_markdown(sweep, reports),
        "report.html": build_page(sweep, reports),
        "runs.csv": format_runs_csv(reports),
        "differences.csv": format_differences_csv(reports),
        "sizes.csv": format_sizes_csv(reports),
        ANSWERS: format_answers_csv(reports),
    }
    for name, text in texts.items():
        with atomic_path(output / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
        print_line(output / name)
    for report in reports:
        every = dict.fromkeys(("png", *formats))
        print_lines(*save_figure_in_formats(draw_differences(report), output / name_figure(report), tuple(every)))
        if report.size_curve:
            curve = draw_size_curve(report)
            print_lines(*save_figure_in_formats(curve, output / name_size_figure(report), tuple(every)))
