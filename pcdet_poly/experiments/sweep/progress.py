"""A sweep as it goes: a table of arms and seeds on a terminal, a line per ended trial elsewhere."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from pcdet_poly.engine.run import read_log_file
from pcdet_poly.experiments.sweep.folder import SweepFolder
from pcdet_poly.experiments.sweep.schema import Trial
from pcdet_poly.names.shown_names import escape_for_terminal


class ProgressDisplay(Protocol):
    """Something that shows progress, and is told again and again which trials run."""

    def __call__(self, running: Sequence[str]) -> None:
        """Bring what is shown up to date."""


@dataclass
class Progress:
    """How far every trial is, and how long the rest will take at the present pace."""

    folder: SweepFolder
    trials: Sequence[Trial]
    total_steps: Mapping[str, int]  # by trial
    start_s: float = field(default_factory=time.monotonic)
    first_steps: int = 0  # steps that were done before this start

    def __post_init__(self) -> None:
        self.first_steps = self.count_steps()

    def count_steps(self) -> int:
        """Count the steps done in all trials that may still end well."""
        return sum(self.folder.count_done_steps(trial.name) for trial in self._list_unfailed())

    def estimate_time_left(self) -> str:
        """Estimate the time to go, as text; empty before the first step, when nobody can know."""
        done, total = self.count_steps(), sum(self.total_steps[trial.name] for trial in self._list_unfailed())
        gained = done - self.first_steps
        return _format_duration((time.monotonic() - self.start_s) / gained * (total - done)) if gained > 0 else ""

    def format_cell(self, trial: Trial, running: Sequence[str]) -> str:
        """Write one trial's cell of the table, with rich's colours."""
        status = self.folder.read_end(trial.name).status
        if status == "done":
            return f"[green]{100 * self._read_score(trial):.2f}[/]"
        if trial.name in running:
            return f"[cyan]{self.folder.count_done_steps(trial.name) / self.total_steps[trial.name]:4.0%}[/]"
        return "[red]failed[/]" if status == "failed" else "[dim]waiting[/]"

    def _read_score(self, trial: Trial) -> float:
        lines = read_log_file(self.folder.run_path(trial.name) / "log.jsonl")
        return float(lines[-1].get("score", math.nan)) if lines else math.nan  # the evaluation after the last step

    def _list_unfailed(self) -> list[Trial]:
        return [trial for trial in self.trials if self.folder.read_end(trial.name).status != "failed"]


def build_table(progress: Progress, running: Sequence[str]) -> Table:
    """Build a table with arms in rows and seeds in columns: finished trials' scores, running trials' share done."""
    left = progress.estimate_time_left()
    num_done = sum(progress.folder.read_end(trial.name).status == "done" for trial in progress.trials)
    title = f"{num_done}/{len(progress.trials)} trials{f', {left} left' if left else ''}"
    caption = "evaluation.best_by, per cent; share of steps done"
    table = Table(title=title, caption=caption, box=SIMPLE_HEAD)
    seeds = list(dict.fromkeys(trial.seed for trial in progress.trials))
    several = len({trial.detector for trial in progress.trials}) > 1
    table.add_column("arm", no_wrap=True)
    for seed in seeds:
        table.add_column(f"seed {seed}", justify="right", no_wrap=True)
    cells = {(t.detector, t.arm, t.seed): progress.format_cell(t, running) for t in progress.trials}
    for detector, arm in dict.fromkeys((trial.detector, trial.arm) for trial in progress.trials):
        name = f"{detector} {arm}" if several else arm
        table.add_row(escape(escape_for_terminal(name)), *(cells[detector, arm, seed] for seed in seeds))
    return table


@contextmanager
def show_progress(progress: Progress) -> Iterator[ProgressDisplay]:
    """Show progress on stderr until the block ends."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _LinePrinter(progress, console)
        return
    with Live(console=console, auto_refresh=False) as live:
        yield lambda running: live.update(build_table(progress, running), refresh=True)


class _LinePrinter:
    """Prints one line for every trial that has ended."""

    def __init__(self, progress: Progress, console: Console) -> None:
        self._progress, self._console = progress, console
        self._printed = set(self._list_ended())

    def __call__(self, running: Sequence[str]) -> None:
        for name in [name for name in self._list_ended() if name not in self._printed]:
            self._printed.add(name)
            end = self._progress.folder.read_end(name)
            reason = f" ({end.reason})" if end.reason else ""
            text = f"{name}: {end.status}{reason}  {self._progress.estimate_time_left()} left"
            self._console.print(escape_for_terminal(text), markup=False, highlight=False, soft_wrap=True)

    def _list_ended(self) -> list[str]:
        names = [trial.name for trial in self._progress.trials]
        return [name for name in names if self._progress.folder.read_end(name).status != "waiting"]


def _format_duration(seconds: float) -> str:
    minutes, hours = int(seconds // 60) % 60, int(seconds // 3600)
    return f"{hours}:{minutes:02d}:{int(seconds) % 60:02d}" if hours else f"{minutes}:{int(seconds) % 60:02d}"
