"""Trials as Ray tasks: on this machine, or on a cluster whose machines share the sweep's folder.

Ray starts a cluster of its own here unless RAY_ADDRESS names one (`auto` for the one this machine belongs to).
"""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

from pcdet_poly.errors import UserError
from pcdet_poly.experiments.sweep_folder import SweepFolder
from pcdet_poly.experiments.sweep_trial import trial_command


class RayExecutor:
    """Hands every trial to Ray at once; Ray starts as many as its CPUs and GPUs allow."""

    def __init__(self, folder: SweepFolder, *, workers: int, threads: int, gpus: float) -> None:
        self._ray = _ray()
        self._folder = SweepFolder(folder.path.resolve())
        self._gpus = gpus
        own_cluster = "RAY_ADDRESS" not in os.environ
        self._ray.init(
            num_cpus=workers * threads if own_cluster else None,
            include_dashboard=False if own_cluster else None,
            log_to_driver=False,
            logging_level="ERROR",
        )
        self._task = self._ray.remote(num_cpus=threads, num_gpus=gpus, max_retries=0)(_run_trial)
        self._threads = threads
        self._running: dict[Any, str] = {}

    def has_room(self) -> bool:
        """Always: Ray keeps the queue."""
        return True

    def start(self, name: str) -> None:
        """Queue a trial."""
        command = trial_command(self._folder, name, self._gpus)
        task = self._task.remote(command, str(self._folder.log(name)), os.getcwd(), self._threads)
        self._running[task] = name

    def ended(self) -> list[tuple[str, int]]:
        """Names and exit codes of trials that have ended since the last call; 1 where Ray lost the machine."""
        done, _ = self._ray.wait(list(self._running), num_returns=len(self._running), timeout=0)
        return [(self._running.pop(task), self._exit_code(task)) for task in done]

    def stop(self) -> None:
        """Cancel all tasks (which passes Ctrl-C on to their trials) and leave the cluster."""
        for task in self._running:
            self._ray.cancel(task, force=False)
        if self._running:
            self._ray.wait(list(self._running), num_returns=len(self._running), timeout=60)
        self._ray.shutdown()

    def _exit_code(self, task: Any) -> int:
        try:
            return int(self._ray.get(task))
        except self._ray.exceptions.RayError:
            return 1


def _run_trial(command: list[str], log: str, folder: str, threads: int) -> int:
    """In a worker of Ray: run the trial to its end. Ray has set CUDA_VISIBLE_DEVICES."""
    Path(log).parent.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    with open(log, "ab") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, cwd=folder, env=environment)
        try:
            return process.wait()
        except KeyboardInterrupt:  # Ray's way to cancel
            process.send_signal(signal.SIGINT)
            return process.wait()


def _ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError:
        raise UserError("--executor ray: Ray is not installed; pip install 'ray==2.60.0'") from None
    return ray
