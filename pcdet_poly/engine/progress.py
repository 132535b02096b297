"""How far a run is: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from pcdet_poly.distributed import rank
from pcdet_poly.names.shown_names import escape_for_terminal

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID
    from rich.table import Column

_PLAIN_INTERVAL_S = 10.0


class Reporter(Protocol):
    """Is told of every step."""

    def __call__(self, done: int, num_frames: int, values: Mapping[str, float] | None = None) -> None:
        """`done` steps in all, the last of `num_frames` frames; `values` where there are new ones to show."""


@contextmanager
def report_progress(title: str, first: int, total: int) -> Iterator[Reporter]:
    """Report steps on stderr, with time left, frames per second and given values.

    Of several processes that work together, the first alone reports.

    Args:
        title: what is done.
        first: steps done before.
        total: steps in all.

    Yields:
        What to tell of every step.
    """
    if rank() > 0:
        yield lambda done, num_frames, values=None: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _PlainLines(title, first, total)
        return
    count, left = (
        MofNCompleteColumn(table_column=_build_fixed_column()),
        TimeRemainingColumn(table_column=_build_fixed_column()),
    )
    columns = (TextColumn("{task.description}"), BarColumn(16), count, left)
    with Progress(*columns, TextColumn("{task.fields[text]}", markup=False), console=console) as bar:
        task = bar.add_task(title, total=total, completed=first, text="")
        yield _Bar(bar, task)


def _build_fixed_column() -> Column:
    """Return a column that does not wrap: in a narrow terminal the last one shall."""
    from rich.table import Column

    return Column(no_wrap=True)


class _Rate:
    """Frames per second since the beginning."""

    def __init__(self) -> None:
        self.start_s = time.perf_counter()
        self.num_frames = 0

    def add(self, num_frames: int) -> float:
        self.num_frames += num_frames
        return self.num_frames / max(time.perf_counter() - self.start_s, 1e-9)


class _Bar:
    def __init__(self, bar: Progress, task: TaskID) -> None:
        self.bar, self.task, self.rate = bar, task, _Rate()

    def __call__(self, done: int, num_frames: int, values: Mapping[str, float] | None = None) -> None:
        rate = self.rate.add(num_frames)
        self.bar.update(self.task, completed=done)
        if values is not None:
            self.bar.update(self.task, text=f"{_format_values(values)}  {rate:.1f} frames/s")


class _PlainLines:
    """At most one line in ten seconds, and one at the end."""

    def __init__(self, title: str, first: int, total: int) -> None:
        self.title, self.first, self.total, self.rate = title, first, total, _Rate()
        self.shown_s = self.rate.start_s
        self.values: Mapping[str, float] = {}

    def __call__(self, done: int, num_frames: int, values: Mapping[str, float] | None = None) -> None:
        rate = self.rate.add(num_frames)
        self.values = values or self.values
        now_s = time.perf_counter()
        if done < self.total and now_s - self.shown_s < _PLAIN_INTERVAL_S:
            return
        self.shown_s = now_s
        left_s = (now_s - self.rate.start_s) / (done - self.first) * (self.total - done)
        left = f"{int(left_s) // 60}:{int(left_s) % 60:02d}"
        text = f"{self.title} {done}/{self.total}  {left} left  {rate:.1f} frames/s  {_format_values(self.values)}"
        from rich.console import Console

        Console(stderr=True, soft_wrap=True, highlight=False).print(text.rstrip(), markup=False)


def _format_values(values: Mapping[str, float]) -> str:
    return "  ".join(f"{escape_for_terminal(name)} {value:.4g}" for name, value in values.items())
