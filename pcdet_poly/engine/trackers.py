"""Log lines mirrored to an experiment tracker: Weights & Biases or MLflow, if the config names one."""

from __future__ import annotations

import json
import secrets
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from pcdet_poly.config.sections.train import TrainConfig
from pcdet_poly.errors import UserError
from pcdet_poly.files import write_json
from pcdet_poly.names.shown_names import print_line

FILE = "tracker.json"  # in the run's folder: which run of the tracker goes on, and what it has
_OFFLINE = {
    "wandb": "log in with `wandb login`, or set WANDB_MODE=offline and run `wandb sync` later",
    "mlflow": "set MLFLOW_TRACKING_URI to a server, or to sqlite:///FILE",
}
_PARAMS_PER_REQUEST = 100


@dataclass(frozen=True)
class _TrackedRun:
    """The content of tracker.json."""

    tracker: str
    project: str
    id: str | None = None  # of the run there; None where there is none yet
    marks: Mapping[str, int] = field(default_factory=dict)  # event -> last step that the tracker has


class Service(Protocol):
    """A run on a tracker."""

    id: str

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Add values of a step."""

    def close(self) -> None:
        """Send what has not been sent."""


class Tracker:
    """Passes each line of a log on, once: lines that a resumed run writes again are there already."""

    def __init__(self, service: Service, marks: Mapping[str, int]) -> None:
        self._service = service
        self._marks = marks  # event -> last step that the tracker has
        self._works = True

    def log(self, event: str, step: int, values: Mapping[str, float]) -> None:
        """Pass a line on. A tracker that fails costs a warning, not the training.

        Args:
            event: what the line is about: step or evaluation.
            step: steps done.
            values: numbers by name.
        """
        if step > self._marks.get(event, -1):
            self._try(lambda: self._service.log(step, values))

    def close(self) -> None:
        """End the run there."""
        self._try(self._service.close)

    def _try(self, action: Callable[[], None]) -> None:
        if not self._works:
            return
        try:
            action()
        except Exception as error:  # every tracker has its own kinds; none is worth a lost training
            self._works = False
            print_line(
                f"warning: the tracker failed ({_take_first_line(error)}); log.jsonl has everything", file=sys.stderr
            )


def check_tracker(cfg: TrainConfig) -> None:
    """Raise UserError where the package of `train.tracker` is missing."""
    if cfg.tracker == "none":
        return
    try:
        if cfg.tracker == "wandb":
            import_module("wandb")
        else:
            import_module("mlflow")
    except ImportError as error:
        raise UserError(
            f"train.tracker = {cfg.tracker}: the package is missing ({error}); run: pip install {cfg.tracker}, or "
            "train.tracker=none"
        ) from None


def open_tracker(
    cfg: TrainConfig, folder: Path, config: Mapping[str, Any], log: Sequence[Mapping[str, Any]]
) -> Tracker | None:
    """Open the tracker of a run; a run that was tracked before goes on there.

    Args:
        cfg: settings of the training, which name the tracker and its project.
        folder: the run's folder.
        config: all settings, to show there.
        log: lines that the run's log has, before any are dropped to go on from an older checkpoint.

    Returns:
        The tracker, or None where the settings name none.

    Raises:
        UserError: where the package is missing or the tracker cannot be reached.
    """
    if cfg.tracker == "none":
        return None
    check_tracker(cfg)
    tracked = _read_tracked_run(cfg, folder)
    service: Service
    try:
        if cfg.tracker == "wandb":
            service = _Wandb(cfg.tracker_project, folder, config, tracked.id or secrets.token_hex(4))
        else:
            service = _Mlflow(cfg.tracker_project, folder, config, tracked.id)
    except Exception as error:  # not logged in, no network, a run that was deleted there
        raise UserError(f"train.tracker = {cfg.tracker}: {_take_first_line(error)}; {_OFFLINE[cfg.tracker]}") from error
    tracked = replace(tracked, id=service.id, marks=_find_last_steps(tracked, log))
    write_json(folder / FILE, asdict(tracked))
    return Tracker(service, tracked.marks)


def _read_tracked_run(cfg: TrainConfig, folder: Path) -> _TrackedRun:
    """Return the content of tracker.json; without an id where the run has not been on this tracker."""
    fresh = _TrackedRun(cfg.tracker, cfg.tracker_project)
    path = folder / FILE
    found = _parse_tracked_run(path) if path.is_file() else fresh
    return found if (found.tracker, found.project) == (fresh.tracker, fresh.project) else fresh


def _parse_tracked_run(path: Path) -> _TrackedRun:
    try:
        found = _TrackedRun(**json.loads(path.read_bytes()))
        if not all(isinstance(step, int) for step in found.marks.values()):
            raise TypeError("a step that is no number")
        return found
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise UserError(f"{path}: damaged; remove it, and the run begins anew on its tracker") from None


def _find_last_steps(tracked: _TrackedRun, log: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Return the last step of each event that the tracker has.

    It is that of the log, or of a log that was longer before an earlier start.
    """
    marks = dict(tracked.marks)
    for line in log if tracked.id else ():
        marks[line["event"]] = max(marks.get(line["event"], -1), line["step"])
    return marks


class _Wandb:
    """A run of Weights & Biases; its files lie in the run's folder."""

    def __init__(self, project: str, folder: Path, config: Mapping[str, Any], run_id: str) -> None:
        wandb: Any = import_module("wandb")
        self.id = run_id
        self._run = wandb.init(
            project=project, name=folder.name, id=run_id, resume="allow", dir=str(folder), config=dict(config)
        )

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log(dict(values), step=step)

    def close(self) -> None:
        self._run.finish()


class _Mlflow:
    """A run of MLflow, in the experiment that is called like the project."""

    def __init__(self, project: str, folder: Path, config: Mapping[str, Any], run_id: str | None) -> None:
        self._entities: Any = import_module("mlflow.entities")
        self._client = import_module("mlflow").MlflowClient()
        if run_id is not None:
            self.id = self._client.get_run(run_id).info.run_id
            self._client.update_run(self.id, status="RUNNING")
            return
        found = self._client.get_experiment_by_name(project)
        experiment = found.experiment_id if found else self._client.create_experiment(project)
        self.id = self._client.create_run(experiment, run_name=folder.name).info.run_id
        params = [self._entities.Param(name, str(value)) for name, value in _flatten_settings(config)]
        for start in range(0, len(params), _PARAMS_PER_REQUEST):
            self._client.log_batch(self.id, params=params[start : start + _PARAMS_PER_REQUEST])

    def log(self, step: int, values: Mapping[str, float]) -> None:
        now_ms = int(time.time() * 1000)
        metrics = [self._entities.Metric(name, value, now_ms, step) for name, value in values.items()]
        self._client.log_batch(self.id, metrics=metrics)

    def close(self) -> None:
        self._client.set_terminated(self.id)


def _flatten_settings(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Return settings by their whole keys, such as train.epochs."""
    found: list[tuple[str, Any]] = []
    for name, value in values.items():
        found += (
            _flatten_settings(value, f"{prefix}{name}.") if isinstance(value, Mapping) else [(f"{prefix}{name}", value)]
        )
    return found


def _take_first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
