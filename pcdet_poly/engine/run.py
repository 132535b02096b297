"""The folder of one run: what lies where, and its log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from pcdet_poly.config.load import dump_config, load_config
from pcdet_poly.config.schema import Config
from pcdet_poly.distributed import is_set_in_any_process, rank, wait_for_all
from pcdet_poly.engine.checkpoint import config_values, find_first_difference
from pcdet_poly.engine.environment import describe_environment
from pcdet_poly.engine.trackers import Tracker, open_tracker
from pcdet_poly.errors import UserError, suggest_path, suggest_word
from pcdet_poly.files import atomic_path, write_json
from pcdet_poly.limits import refuse_device
from pcdet_poly.locks import is_empty, lock_folder, remove_part_files

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

# What may change when a run goes on: none of these changes a number that the run computes.
MAY_CHANGE = frozenset(
    {
        *("data.train", "data.val", "data.workers"),
        *("train.threads", "train.checkpoint_activations", "train.save_every", "train.keep_checkpoints"),
        *("train.tracker", "train.tracker_project"),
    }
)


@dataclass(frozen=True)
class Run:
    """One training run. The folder alone is enough to evaluate it or to go on.

    Of several processes that train together, the first alone writes into it.
    """

    folder: Path
    config: Config
    device: torch.device
    tracker: Tracker | None = None  # gets the log too

    @property
    def checkpoints(self) -> Path:
        """Folder of checkpoints."""
        return self.folder / "checkpoints"

    @property
    def best_checkpoint(self) -> Path:
        """Checkpoint with the best evaluation so far."""
        return self.checkpoints / "best.pt"

    def checkpoint_path(self, step: int) -> Path:
        """Checkpoint after `step` steps."""
        return self.checkpoints / f"step_{step:08d}.pt"

    def list_checkpoints(self) -> list[Path]:
        """Return the checkpoints by step, the newest first, `best` not among them."""
        return sorted(self.checkpoints.glob("step_*.pt"), reverse=True)

    def find_checkpoint(self, which: str) -> Path:
        """Return the path of `best`, of `last`, or of the file called `which`, in the run's folder or elsewhere.

        Raises UserError where there is none; it names the nearest file.
        """
        if which == "last":
            saved = self.list_checkpoints()
            if not saved:
                raise UserError(f"{self.checkpoints}: no checkpoint yet; go on with pcdet-poly train ... --resume")
            return saved[0]
        if which == "best":
            if not self.best_checkpoint.is_file():
                raise UserError(f"{self.best_checkpoint}: no evaluation has chosen one yet; use --checkpoint last")
            return self.best_checkpoint
        path = Path(which).expanduser()
        own = self.checkpoints / which
        if not path.is_file() and own.is_file():
            return own
        if not path.is_file():
            names = ["best", "last", *(file.name for file in self.checkpoints.glob("*.pt"))]
            advice = suggest_word(path.name, names) or suggest_path(path) or f"; there are {', '.join(sorted(names))}"
            raise UserError(f"{which}: no such checkpoint{advice}")
        return path

    @cached_property
    def tensorboard(self) -> SummaryWriter:
        """Writer of TensorBoard events. Hides those that an earlier start wrote after the end of the present log."""
        from torch.utils.tensorboard import SummaryWriter

        last_step = max((line["step"] for line in self.read_log()), default=0)
        return SummaryWriter(str(self.folder / "tensorboard"), purge_step=last_step + 1)

    def log(self, event: str, step: int, values: dict[str, float]) -> None:
        """Append one line to log.jsonl, and the values to TensorBoard and the tracker.

        It holds no wall-clock time, so that equal runs log equally.

        Args:
            event: what the line is about: step or evaluation.
            step: steps done.
            values: numbers by name; nine digits of each are kept.
        """
        if rank() > 0:
            return
        rounded = {name: float(f"{value:.9g}") for name, value in values.items()}
        for name, value in rounded.items():
            self.tensorboard.add_scalar(name, value, step)
        with open(self.folder / "log.jsonl", "a", encoding="utf-8", newline="\n") as file:
            file.write(json.dumps({"event": event, "step": step, **rounded}) + "\n")
        if self.tracker:
            self.tracker.log(event, step, rounded)

    def close(self) -> None:
        """Finish what is being written."""
        if rank() == 0:
            self.tensorboard.close()
        if self.tracker:
            self.tracker.close()

    def read_log(self) -> list[dict[str, Any]]:
        """Return the lines of log.jsonl so far; a half-written last line is left out."""
        return read_log_file(self.folder / "log.jsonl")

    def has_logged(self, event: str, step: int) -> bool:
        """Return whether the log has a line of that event at that step."""
        return any(line["event"] == event and line["step"] == step for line in self.read_log())

    def rewind_log(self, step: int) -> None:
        """Drop lines after `step`: a run that goes on from an older checkpoint writes them again."""
        if rank() > 0:
            return
        kept = [json.dumps(line) + "\n" for line in self.read_log() if line["step"] <= step]
        with atomic_path(self.folder / "log.jsonl") as temporary:
            temporary.write_text("".join(kept), "utf-8", newline="\n")


def read_log_file(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a log.jsonl so far; not a half-written last one. Raises UserError at a damaged one."""
    refuse_device(path)
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    return [_parse_line(line, f"{path}: line {i}") for i, line in enumerate(lines, start=1) if line.endswith(b"\n")]


def _parse_line(line: bytes, where: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict) or not {"event", "step"} <= value.keys():
        raise UserError(f"{where} is damaged; remove it")
    return value


@contextmanager
def lock_run(folder: Path) -> Iterator[None]:
    """Lock the run's folder, made if missing, for one training; what a killed one left half-written is removed.

    Raises UserError, in all of its processes, where another training goes on in the folder.
    """
    busy: UserError | None = None
    with ExitStack() as stack:
        if rank() == 0:
            try:
                stack.enter_context(lock_folder(folder, work="training", instead="choose another --name"))
                remove_part_files(folder / "checkpoints")
            except UserError as error:
                busy = error
        if is_set_in_any_process(busy is not None):
            raise busy or UserError(f"{folder}: another training is writing here")
        yield


def start_run(folder: Path, config: Config, device: torch.device, *, resume: bool) -> Run:
    """Make a run's folder, or go on in the one that is there.

    Args:
        folder: the run's folder.
        config: settings of the run; a run that goes on must have been started with the same ones.
        device: where the network runs.
        resume: go on where the folder is there; without it, a folder with something in it is refused.

    Raises:
        UserError: where something is there that cannot be gone on with.
    """
    _check_is_utf8(folder)
    exists = not is_empty(folder)
    if exists and not resume:
        raise UserError(f"{folder}: already there; go on with --resume, or choose another --name")
    if exists:
        _check_same_settings(folder, config)
    run = Run(folder, config, device)
    wait_for_all()  # all processes have looked
    if rank() == 0:
        with atomic_path(folder / "config.yaml") as temporary:
            temporary.write_text(dump_config(config), "utf-8", newline="\n")
        run.checkpoints.mkdir(exist_ok=True)
        _record_environment(run)
        run = replace(run, tracker=open_tracker(config.train, folder, config_values(config), run.read_log()))
    wait_for_all()  # the folder is there
    return run


def _check_is_utf8(folder: Path) -> None:
    try:
        str(folder).encode()
    except UnicodeEncodeError:
        raise UserError(
            f"{folder}: TensorBoard writes into no folder whose name is not UTF-8; choose another"
        ) from None


def open_run(folder: Path, overrides: list[str], device: torch.device) -> Run:
    """Open the run in `folder`.

    Args:
        folder: the run's folder.
        overrides: `section.key=value` settings that win over the run's own.
        device: where the network runs.

    Raises:
        UserError: where there is no run, or a setting is wrong.
    """
    if not (folder / "config.yaml").is_file():
        others = sorted(path.parent.name for path in folder.parent.glob("*/config.yaml"))
        here = f"runs in {folder.parent}: {', '.join(others)}" if others else "make one with pcdet-poly train"
        if nearest := suggest_word(folder.name, others):
            here = f"{here}{nearest}"
        raise UserError(f"{folder}: not a run (no config.yaml in it); {here}")
    return Run(folder, load_config(folder / "config.yaml", overrides), device)


def _check_same_settings(folder: Path, config: Config) -> None:
    if not (folder / "config.yaml").is_file():
        raise UserError(f"{folder}: something else than a run is there (no config.yaml); choose another --name")
    before = config_values(load_config(folder / "config.yaml"))
    difference = find_first_difference(before, config_values(config), ignore=MAY_CHANGE)
    if difference is not None:
        key, old, new = difference
        raise UserError(
            f"{folder}: was started with {key} = {old}, now {key} = {new}; resume with the settings it was started "
            "with, or choose another --name"
        )


def _record_environment(run: Run) -> None:
    """Add an entry for this start to environment.json, behind those of former starts."""
    path = run.folder / "environment.json"
    starts = _read_starts(path) if path.exists() else []
    write_json(path, {"starts": [*starts, describe_environment(run.device, run.config.train.seed)]})


def _read_starts(path: Path) -> list[Any]:
    try:
        return list(json.loads(path.read_bytes())["starts"])
    except (ValueError, LookupError, TypeError):
        raise UserError(f"{path}: damaged; remove it, nothing is computed from it") from None
