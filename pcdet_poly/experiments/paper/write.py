"""Rows of all parts -> the report's files."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

from pcdet_poly.experiments.paper.markdown import FIGURE, format_report
from pcdet_poly.experiments.paper.page import build_page
from pcdet_poly.experiments.paper.rows import TASKS, PaperRow
from pcdet_poly.figure_files import save_figure_in_formats
from pcdet_poly.files import atomic_path


def write_report(folder: Path, rows: Sequence[PaperRow], *, quick: bool) -> list[Path]:
    """Write paper.md, paper.html, rows.csv and the figure of all differences.

    Args:
        folder: where to; its sub-folders hold the parts' figures and notes.
        rows: of all parts that were asked for.
        quick: whether they are of quick studies, which the title then says.

    Returns:
        The paths of what was written.
    """
    from pcdet_poly.experiments.paper.figure import draw_differences

    tasks = [task for task in TASKS if any(row.task == task for row in rows)]
    figures = save_figure_in_formats(draw_differences(rows, tasks), folder / f"{FIGURE}.png", ("png", "svg"))
    text = format_report(rows, folder, title=f"The paper's systems at a small scale{', quick' if quick else ''}")
    texts = {"paper.md": text, "paper.html": build_page(text, folder), "rows.csv": format_csv(rows)}
    for name, content in texts.items():
        with atomic_path(folder / name) as temporary:
            temporary.write_text(content, "utf-8", newline="\n")
    return [*(folder / name for name in texts), *figures]


def format_csv(rows: Sequence[PaperRow]) -> str:
    """Write one line a row, floats with six digits."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([field.name for field in fields(PaperRow)])
    for row in rows:
        writer.writerow([f"{cell:.6g}" if isinstance(cell, float) else cell for cell in asdict(row).values()])
    return text.getvalue()
