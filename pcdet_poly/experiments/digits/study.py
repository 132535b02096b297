"""The paper's findings on real digits: train with every loss and seed, and write what came out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pcdet_poly.files import atomic_path, write_json


def run_study(output: Path, *, num_seeds: int, quick: bool, formats: Sequence[str] = ("png",)) -> str:
    """Train everything and write the report.

    Args:
        output: folder for table.md, figure.png and results.json; made if missing.
        num_seeds: trainings per loss, at least 2.
        quick: train few losses for five epochs, to see that it runs.
        formats: of the figure: png, svg, pdf.

    Returns:
        The table, in Markdown.
    """
    from pcdet_poly.experiments.digits import results as digits_report
    from pcdet_poly.experiments.digits import results_figure as digits_figure
    from pcdet_poly.experiments.digits.arms import list_arms, list_quick_arms
    from pcdet_poly.experiments.digits.train import TrainingSchedule, train_arms
    from pcdet_poly.figure_files import save_figure_in_formats

    schedule = TrainingSchedule(num_train=300, epochs=5) if quick else TrainingSchedule()
    outcomes = train_arms(list_quick_arms() if quick else list_arms(), range(num_seeds), schedule)
    rows = digits_report.build_rows(outcomes)
    table = digits_report.format_markdown(rows, outcomes, schedule)
    with atomic_path(output / "table.md") as temporary:
        temporary.write_text(table, "utf-8", newline="\n")
    write_json(output / "results.json", digits_report.to_json(rows, schedule, num_seeds))
    save_figure_in_formats(digits_figure.draw_results(outcomes), output / "figure.png", formats)
    return table
