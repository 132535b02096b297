"""Rows of all parts -> the report in Markdown, in the order of the paper's Table 1."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from pcdet_poly.evaluation.table_text import format_markdown_table
from pcdet_poly.experiments.paper.published import PUBLISHED
from pcdet_poly.experiments.paper.rows import TASKS, PaperRow, Task
from pcdet_poly.experiments.paper.sentences import describe_verdict, format_difference
from pcdet_poly.experiments.report.sentences.number_words import format_p

FIGURE = "differences"  # name of the figure of all tasks, without its ending
TITLES: dict[Task, str] = {
    "classification": "Image classification",
    "detection": "Objects in images",
    "masks": "Masks of objects",
    "vehicles": "3D vehicles",
    "pedestrians": "3D pedestrians",
}
_ABOUT = (
    "The paper's numbers are of large networks on large data sets, one training each, without intervals. Ours are of "
    "small ones, trained for minutes, paired by seed, with intervals that hold for all arms of a family at once "
    "(Dunnett; where arms spread unequally p is Holm's and the intervals are Bonferroni's, which are wider: one "
    "may reach 0 where p is below .05). The last column says what was seen; where nothing was, it names "
    "the smallest true difference that such a study finds in 80 % of cases. Differences as small as the paper's are "
    "neither confirmed nor refuted where that number is larger. Each table is a family of its own; intervals of 3D "
    "rows are about other seeds, on the study's own frames."
)


def format_report(rows: Sequence[PaperRow], folder: Path, *, title: str) -> str:
    """Write the whole report.

    Args:
        rows: of all parts that were asked for.
        folder: of the report, whose sub-folders hold the parts' figures and notes.
        title: of the page.

    Returns:
        Markdown; figures are named relative to the folder.
    """
    tasks = [task for task in TASKS if any(row.task == task for row in rows)]
    blocks = [f"# {title}", _ABOUT, "## The paper's Table 1 beside ours", format_overview(rows, tasks)]
    blocks += [f"![Differences with 95 % intervals]({FIGURE}.png)"]
    for task in tasks:
        of_task = [row for row in rows if row.task == task]
        blocks += [f"## {TITLES[task]}", *_format_questions(of_task), *_list_extras(folder / task, folder)]
    return "\n\n".join(blocks) + "\n"


def format_overview(rows: Sequence[PaperRow], tasks: Sequence[Task]) -> str:
    """Lay out the paper's rows and ours of some tasks: the paper's epsilon, as it is and at the plain loss's size."""
    heads = ("task", "system", "metric", "plain", "loss", "difference, points", "seeds", "seen?")
    lines: list[tuple[str, ...]] = []
    for task in tasks:
        for one in (each for each in PUBLISHED if each.task == task):
            name = f"eps = {one.epsilon}"
            gain = f"{one.poly1 - one.plain:+.1f}"
            lines.append((TITLES[task], f"*paper:* {one.system}", one.metric, f"{one.plain:.1f}", name, gain, "1", ""))
        for row in rows:
            if row.task == task and row.role in ("paper", "matched"):
                plain, gain, seeds = f"{row.baseline_value:.2f}", format_difference(row), str(row.num_seeds)
                lines.append(("", row.system, row.metric, plain, row.arm, gain, seeds, describe_verdict(row)))
    return format_markdown_table(heads, lines)


def _format_questions(rows: Sequence[PaperRow]) -> list[str]:
    """One table for each family of comparisons."""
    blocks: list[str] = []
    for question, system, metric, baseline in dict.fromkeys(_name_family(row) for row in rows):
        family = [row for row in rows if _name_family(row) == (question, system, metric, baseline)]
        first = family[0]
        blocks += [f"### {question}"] if question else []
        blocks.append(
            f"{system}; {metric}, minus {baseline} ({first.baseline_value:.2f}); {first.num_seeds} seeds; from "
            f"`{first.source}`."
        )
        blocks.append(_format_family(family))
    return blocks


def _format_family(rows: Iterable[PaperRow]) -> str:
    cells = ((_name_arm(row), format_difference(row), format_p(row.p), describe_verdict(row)) for row in rows)
    return format_markdown_table(("loss", "difference, points", "p", "seen?"), cells)


def _name_arm(row: PaperRow) -> str:
    return row.arm if row.role == "other" else f"{row.arm} ({_ROLES[row.role]})"


_ROLES = {"paper": "the paper's", "matched": "the paper's, at the plain loss's size", "control": "known effect"}


def _name_family(row: PaperRow) -> tuple[str, str, str, str]:
    return row.question, row.system, row.metric, row.baseline


def _list_extras(part: Path, folder: Path) -> list[str]:
    """Figures of a part, and its notes."""
    figures = [f"![{path.stem}]({path.relative_to(folder).as_posix()})" for path in sorted(part.glob("*.png"))]
    notes = part / "notes.md"
    return [*figures, *([notes.read_text("utf-8", "replace").strip()] if notes.is_file() else [])]
