"""Tables for people, in the terminal and as Markdown: an `ApTable`, and the layout that every other table uses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from pcdet_poly.evaluation.ap_table import LEADERBOARD_TYPES, ApTable
from pcdet_poly.evaluation.evaluation_meta import DifferenceMeta, EvaluationMeta, Meta
from pcdet_poly.names.shown_names import escape_for_terminal

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

NO_LABELS = "no labels"  # in place of an AP that nothing could be measured by
_BY_TYPE = "OBJECT_TYPE_TYPE_"
BORDER = 3  # characters between two columns of a table


def print_table(table: ApTable, *, title: str = "", console: Console | None = None) -> None:
    """Print one row per breakdown and one column per part and metric, in per cent.

    Rows of classes that were not evaluated are left out. A class without a label says so; other rows without an object,
    and rows of 0 everywhere where the number of objects is not known, are left out.

    Parts that do not fit into the terminal beside the others get a table of their own below; what goes
    to a file or a pipe has no such limit.

    Args:
        table: what is printed.
        title: a line above each table.
        console: where it is printed; by default to standard output.
    """
    from rich.console import Console

    console = console or Console()
    rows, heads = list(_format_rows(table)), [f"{part} {metric.upper()}" for part, metric in _list_columns(table)]
    widths = [max(map(len, cells)) + BORDER for cells in zip(*([heads, *(cells for _, cells in rows)]), strict=True)]
    name_width = max(len(name) for name in ["breakdown", *(name for name, _ in rows)]) + BORDER + 1
    limit = console.width if console.is_terminal else name_width + sum(widths)
    console.width = max(console.width, limit)
    groups = _group_columns(_list_columns(table), widths, limit - name_width)
    for group in groups:
        shown = [(name, *(cells[column] for column in group)) for name, cells in rows]
        caption = build_caption(table) if group is groups[-1] else None
        of_group = ("breakdown", *(heads[column] for column in group))
        console.print(build_terminal_table(of_group, shown, title=title or None, caption=caption))


def _group_columns(columns: list[tuple[str, str]], widths: list[int], limit: int) -> list[list[int]]:
    """Cut the positions of the columns between parts into groups of at most `limit` characters where that can be."""
    groups: list[list[int]] = []
    used = 0
    for _, positions in groupby(range(len(columns)), key=lambda column: columns[column][0]):
        part = list(positions)
        width = sum(widths[column] for column in part)
        if groups and used + width <= limit:
            groups[-1] += part
            used += width
        else:
            groups.append(part)
            used = width
    return groups


def to_markdown(table: ApTable) -> str:
    """Return the same table in Markdown."""
    heads = ["breakdown", *(f"{part} {metric.upper()}" for part, metric in _list_columns(table))]
    rows = [(name, *cells) for name, cells in _format_rows(table)]
    return f"{format_markdown_table(heads, rows, rule='---:')}\n\n{build_caption(table)}\n"


def build_terminal_table(
    heads: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    title: str | None = None,
    caption: str | None = None,
    compact: bool = False,
) -> Table:
    """Lay out a table for a terminal: names in the first column, numbers to the right in the others.

    Args:
        heads: one per column.
        rows: a text per column each, shown as it is.
        title: a line above the table.
        caption: a line below it.
        compact: draw a line under the heads only.

    Returns:
        What rich prints.
    """
    from rich.box import HEAVY_HEAD, SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    def show(text: str, style: str = "") -> Text:  # no markup
        return Text(escape_for_terminal(text), style)

    box = SIMPLE_HEAD if compact else HEAVY_HEAD
    above, below = title and show(title, "table.title"), caption and show(caption, "table.caption")
    grid = Table(title=above, caption=below, box=box, pad_edge=not compact)
    for number, head in enumerate(heads):
        grid.add_column(show(head), justify="right" if number else "left", no_wrap=True)
    for row in rows:
        grid.add_row(*map(show, row))
    return grid


def format_markdown_table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, rule: str = "---") -> str:
    """Lay out a table in Markdown, without an end of line after the last row.

    Args:
        heads: one per column.
        rows: a text per column each.
        rule: what stands under every head but the first; "---:" moves numbers to the right.

    Returns:
        The lines of the table.
    """
    lines = [f"| {' | '.join(row)} |" for row in (heads, *rows)]
    return "\n".join([lines[0], f"|---|{f'{rule}|' * (len(heads) - 1)}", *lines[1:]])


def build_caption(table: ApTable) -> str:
    """Return one line that says what was evaluated."""
    meta = table.meta
    if isinstance(meta, DifferenceMeta):
        parts = ["first minus second, per cent"]
    else:
        counted = f"{meta.frames} frames, {meta.predictions} predictions, {meta.ground_truths} objects"
        parts = [f"{counted}, {meta.seconds:.2f} s"]
        if meta.within:
            x0, y0, x1, y1 = meta.within
            parts.append(f"only boxes with centre in x {x0:g}..{x1:g}, y {y0:g}..{y1:g} m, on both sides")
    if table.intervals:
        parts.append(f"95 % intervals from {meta.resamples} resamplings of {meta.segments} segments")
    return "; ".join(parts)


def _list_columns(table: ApTable) -> list[tuple[str, str]]:
    """Return part and metric of every column."""
    return [(part, metric) for part, rows in table.entries.items() for metric in next(iter(rows.values()))]


def _format_rows(table: ApTable) -> Iterator[tuple[str, list[str]]]:
    """Yield the short name and the cells of every row that says something, the means of classes last."""
    columns, first = _list_columns(table), next(iter(table.entries.values()))
    for name in filter(lambda name: _is_of_classes(table.meta, name), first):
        short = name.removeprefix(_BY_TYPE).replace("_TYPE_", "_")
        if _is_shown(table, name, columns):
            yield short, [_format_cell(table, part, name, metric) for part, metric in columns]
        elif name.startswith(_BY_TYPE) and table.meta.classes and not table.meta.is_labelled(name):
            yield short, [NO_LABELS] * len(columns)
    for level in (1, 2):
        types = table.list_mean_types(level)
        if len(types) > 1:
            means = [table.compute_mean(part, level, types)[metric] for part, metric in columns]
            yield _name_mean(types, level), [f"{100 * mean:.2f}" for mean in means]


def _is_of_classes(meta: Meta, name: str) -> bool:
    """Whether a row is of a class that was evaluated, or of none in particular."""
    return not meta.classes or "_TYPE_" not in name or any(f"_TYPE_{kind}_" in name for kind in meta.classes)


def _is_shown(table: ApTable, name: str, columns: list[tuple[str, str]]) -> bool:
    """Whether a row has objects; where that is not known, whether it has any value."""
    if isinstance(table.meta, EvaluationMeta) and name in table.meta.objects:
        return table.meta.is_labelled(name)
    return any(table[part][name][metric] for part, metric in columns)


def _name_mean(types: Sequence[str], level: int) -> str:
    if set(types) == set(LEADERBOARD_TYPES):
        return f"ALL_NS_LEVEL_{level}"
    return f"mean of {', '.join(types)} LEVEL_{level}"


def _format_cell(table: ApTable, part: str, name: str, metric: str) -> str:
    text = f"{100 * table[part][name][metric]:.2f}"
    limits = table.get_interval(part, name, metric)
    return text if limits is None else f"{text} ({100 * limits[0]:.2f}..{100 * limits[1]:.2f})"
