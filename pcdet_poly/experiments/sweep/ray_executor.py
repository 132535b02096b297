"""Trials as Ray tasks: on this machine, or on a cluster whose machines share the sweep's folder."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from pcdet_poly.data.convert.ray_jobs import connect_to_cluster
from pcdet_poly.experiments.sweep.folder import SweepFolder
from pcdet_poly.experiments.sweep.groups import Group
from pcdet_poly.experiments.sweep.trial import build_trial_command
from pcdet_poly.optional_libraries import import_ray
from pcdet_poly.signals.child_programs import ask_to_stop, start_apart

_STOP_S = 60  # what a trial gets to finish its step and save


class RayExecutor:
    """Hands every trial to Ray at once; Ray starts as many as its CPUs and GPUs allow.

    Args:
        folder: the sweep's folder, which all machines of the cluster see.
        workers: trials at a time, on a cluster that is started here.
        threads: CPU threads of a trial.
        gpus: GPUs of a trial, or its share of one.
        address: a cluster's address; None starts one here with enough CPUs for `workers` trials.
    """

    def __init__(self, folder: SweepFolder, *, workers: int, threads: int, gpus: float, address: str | None) -> None:
        self._ray = import_ray()
        self._folder = SweepFolder(folder.path.resolve())
        self._threads, self._gpus = threads, gpus
        self._connection = ExitStack()
        self._connection.enter_context(connect_to_cluster(self._ray, workers * threads, address))
        self._task = self._ray.remote(num_cpus=threads, num_gpus=gpus, max_retries=0)(_run_trial)
        self._running: dict[Any, Group] = {}

    def has_room(self) -> bool:
        """Whether another trial may be handed over: always, because Ray keeps the queue."""
        return True

    def start(self, group: Group) -> None:
        """Queue a group of trials, one process."""
        command = build_trial_command(self._folder, group, self._gpus)
        task = self._task.remote(command, str(self._folder.log_path(group[0])), os.getcwd(), self._threads)
        self._running[task] = group

    def collect_ended(self) -> list[tuple[Group, int]]:
        """Collect groups that have ended since the last call, and their exit codes; 1 where Ray lost the machine."""
        if not self._running:
            return []
        done, _ = self._ray.wait(list(self._running), num_returns=len(self._running), timeout=0)
        return [(self._running.pop(task), self._get_exit_code(task)) for task in done]

    def stop(self) -> None:
        """Cancel all tasks, which passes Ctrl-C on to their trials, and leave the cluster."""
        for task in self._running:
            self._ray.cancel(task, force=False)
        if self._running:
            self._ray.wait(list(self._running), num_returns=len(self._running), timeout=_STOP_S)
        self._connection.close()

    def _get_exit_code(self, task: Any) -> int:
        try:
            return int(self._ray.get(task))
        except self._ray.exceptions.RayError:
            return 1


def _run_trial(command: list[str], log: str, folder: str, threads: int) -> int:
    """Run a trial to its end, in a worker process of Ray, which has set CUDA_VISIBLE_DEVICES."""
    Path(log).parent.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    with open(log, "ab") as file:
        process = start_apart(command, stdout=file, stderr=file, cwd=folder, env=environment)
        try:
            return process.wait()
        except KeyboardInterrupt:  # Ray's way to cancel
            ask_to_stop(process)
            return process.wait()
