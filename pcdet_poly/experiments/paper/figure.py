"""Rows -> one figure: the paper's epsilon in every task, as it is and at the plain loss's size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from pcdet_poly.experiments.figures import BASE_COLOUR, COLOURS, MARKERS, create_figure, finish_axes
from pcdet_poly.experiments.paper.markdown import TITLES
from pcdet_poly.experiments.paper.published import PUBLISHED
from pcdet_poly.experiments.paper.rows import PaperRow, Task

_ROLES = ("paper", "matched")
_NAMES = ("ours, the paper's epsilon", "ours, at the plain loss's gradient size", "the paper's, one training each")
_PUBLISHED = 2  # place in _NAMES


@dataclass(frozen=True)
class _Line:
    name: str
    kind: int  # place in _NAMES
    difference: float
    low: float
    high: float


def draw_differences(rows: Sequence[PaperRow], tasks: Sequence[Task]) -> Figure:
    """Draw a line for each of the paper's systems and of ours, task by task from above."""
    lines = [line for task in tasks for line in (*_list_published(task), *_list_ours(task, rows))]
    figure = create_figure(10, 1.4 + 0.28 * len(lines))
    axes = figure.subplots()
    axes.axvline(0, color=BASE_COLOUR, linewidth=1)
    for kind, name in enumerate(_NAMES):
        places = [place for place, line in enumerate(lines) if line.kind == kind]
        if not places:
            continue  # a legend names what is there
        chosen = [lines[place] for place in places]
        ends = [[line.difference - line.low for line in chosen], [line.high - line.difference for line in chosen]]
        mean = [line.difference for line in chosen]
        axes.errorbar(mean, places, xerr=ends, fmt=MARKERS[kind], color=COLOURS[kind], capsize=3, label=name)
    axes.set_yticks(range(len(lines)), [line.name for line in lines], fontsize=8)
    axes.invert_yaxis()
    figure.legend(frameon=False, fontsize=8, loc="outside lower center", ncols=len(_NAMES))
    finish_axes(axes, xlabel="Poly-1 minus the plain loss, points; simultaneous 95 % intervals")
    return figure


def _list_published(task: Task) -> list[_Line]:
    return [
        _Line(
            f"{TITLES[task]}: {one.system}, eps = {one.epsilon}", _PUBLISHED, one.poly1 - one.plain, math.nan, math.nan
        )
        for one in PUBLISHED
        if one.task == task
    ]


def _list_ours(task: Task, rows: Sequence[PaperRow]) -> list[_Line]:
    return [
        _Line(f"{row.system}, {row.metric.removesuffix(', %')}: {row.arm}", kind, row.difference, row.low, row.high)
        for kind, role in enumerate(_ROLES)
        for row in rows
        if row.task == task and row.role == role
    ]
