"""A sweep as it goes: a table of arms and seeds on a terminal, a line per ended trial elsewhere."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.live import Live
from rich.table import Table

from pcdet_poly.experiments.sweep.folder import SweepFolder
from pcdet_poly.experiments.sweep.schema import Trial


class Show(Protocol):
    """Is told which trials run, again and again."""

    def __call__(self, running: Sequence[str]) -> None:
        """Bring what is shown up to date."""


@dataclass
class Progress:
    """How far every trial is, and how long the rest will take at the present pace."""

    folder: SweepFolder
    trials: Sequence[Trial]
    total_steps: Mapping[str, int]  # by trial
    start_s: float = field(default_factory=time.monotonic)
    first_steps: int = 0  # done before this start

    def __post_init__(self) -> None:
        self.first_steps = self.steps()

    def steps(self) -> int:
        """Steps done in all trials that may still end well."""
        return sum(self.folder.done_steps(trial.name) for trial in self._alive())

    def left(self) -> str:
        """Time to go, as text; empty while nobody can know."""
        done, total = self.steps(), sum(self.total_steps[trial.name] for trial in self._alive())
        gained = done - self.first_steps
        return _clock((time.monotonic() - self.start_s) / gained * (total - done)) if gained > 0 else ""

    def cell(self, trial: Trial, running: Sequence[str]) -> str:
        """One trial in the table."""
        status, _ = self.folder.status(trial.name)
        if status == "done":
            return f"[green]{100 * self._score(trial):.2f}[/]"
        if trial.name in running:
            return f"[cyan]{self.folder.done_steps(trial.name) / self.total_steps[trial.name]:4.0%}[/]"
        return "[red]failed[/]" if status == "failed" else "[dim]waiting[/]"

    def _score(self, trial: Trial) -> float:
        lines = (self.folder.run(trial.name) / "log.jsonl").read_text().splitlines()
        return float(json.loads(lines[-1])["score"])  # the evaluation after the last step

    def _alive(self) -> list[Trial]:
        return [trial for trial in self.trials if self.folder.status(trial.name)[0] != "failed"]


def table_of(progress: Progress, running: Sequence[str]) -> Table:
    """Arms in rows, seeds in columns: score of finished trials, share done of running ones."""
    left = progress.left()
    num_done = sum(progress.folder.status(trial.name)[0] == "done" for trial in progress.trials)
    title = f"{num_done}/{len(progress.trials)} trials{f', {left} left' if left else ''}"
    caption = "evaluation.best_by, per cent; share of steps done"
    table = Table(title=title, caption=caption, box=SIMPLE_HEAD)
    seeds = list(dict.fromkeys(trial.seed for trial in progress.trials))
    several = len({trial.model for trial in progress.trials}) > 1
    table.add_column("arm", no_wrap=True)
    for seed in seeds:
        table.add_column(f"seed {seed}", justify="right", no_wrap=True)
    cells = {(t.model, t.arm, t.seed): progress.cell(t, running) for t in progress.trials}
    for model, arm in dict.fromkeys((trial.model, trial.arm) for trial in progress.trials):
        name = f"{model} {arm}" if several else arm
        table.add_row(name, *(cells[model, arm, seed] for seed in seeds))
    return table


@contextmanager
def shown(progress: Progress) -> Iterator[Show]:
    """Show progress on stderr until the block ends."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines(progress, console)
        return
    with Live(console=console, auto_refresh=False) as live:
        yield lambda running: live.update(table_of(progress, running), refresh=True)


class _Lines:
    """One line for every trial that has ended."""

    def __init__(self, progress: Progress, console: Console) -> None:
        self.progress, self.console = progress, console
        self.told = set(self._ended())

    def __call__(self, running: Sequence[str]) -> None:
        for name in [name for name in self._ended() if name not in self.told]:
            self.told.add(name)
            status, reason = self.progress.folder.status(name)
            text = f"{name}: {status}{f' ({reason})' if reason else ''}  {self.progress.left()} left"
            self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _ended(self) -> list[str]:
        names = [trial.name for trial in self.progress.trials]
        return [name for name in names if self.progress.folder.status(name)[0] != "waiting"]


def _clock(seconds: float) -> str:
    minutes, hours = int(seconds // 60) % 60, int(seconds // 3600)
    return f"{hours}:{minutes:02d}:{int(seconds) % 60:02d}" if hours else f"{minutes}:{int(seconds) % 60:02d}"
