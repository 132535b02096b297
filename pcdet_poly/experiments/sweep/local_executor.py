"""Trials as processes of this machine, so many at a time."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Sequence

from pcdet_poly.errors import UserError
from pcdet_poly.experiments.sweep.folder import SweepFolder
from pcdet_poly.experiments.sweep.groups import Group
from pcdet_poly.experiments.sweep.trial import build_trial_command
from pcdet_poly.signals import hold_stop_signals
from pcdet_poly.signals.child_programs import ask_to_stop, start_apart


class LocalExecutor:
    """Starts trials in free slots; slot i has its own GPUs, or its share of one.

    Args:
        folder: the sweep's folder.
        workers: trials that run at a time, one in each slot.
        threads: CPU threads of a trial.
        gpus: GPUs of a trial: 0 for none, less than 1 for a share of one, otherwise a whole number.

    Raises:
        UserError: there are not as many GPUs, or several of a trial's in Windows.
    """

    def __init__(self, folder: SweepFolder, *, workers: int, threads: int, gpus: float) -> None:
        self._folder, self._threads, self._gpus = folder, threads, gpus
        if gpus > 1 and sys.platform == "win32":
            raise UserError("gpus: several of a trial need NCCL, which Windows does not have; set 1, or use WSL 2")
        self._devices = list_visible_gpus() if gpus else []
        if gpus and len(self._devices) < math.ceil(workers * gpus):
            raise UserError(
                f"gpus: {workers} trials at a time on {gpus:g} each, but torch sees {len(self._devices)}; "
                "lower --workers, or gpus in the sweep's file"
            )
        self._free_slots = list(range(workers))
        self._running: dict[Group, tuple[int, subprocess.Popen[bytes]]] = {}

    def has_room(self) -> bool:
        """Whether another trial may start now."""
        return bool(self._free_slots)

    def start(self, group: Group) -> None:
        """Start the process of a group of trials; what it prints goes to the log of the first."""
        slot, path = self._free_slots.pop(0), self._folder.log_path(group[0])
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "ab") as log, hold_stop_signals():  # no trial runs that we do not know of
            process = start_apart(
                build_trial_command(self._folder, group, self._gpus),
                stdout=log,
                stderr=log,
                env=os.environ | self._build_environment(slot),
            )
            self._running[group] = (slot, process)

    def collect_ended(self) -> list[tuple[Group, int]]:
        """Collect the groups whose processes have ended since the last call, and their exit codes."""
        ended = []
        for group, (slot, process) in list(self._running.items()):
            if (code := process.poll()) is not None:
                del self._running[group]
                self._free_slots.append(slot)
                ended.append((group, code))
        return ended

    def stop(self) -> None:
        """Let running trials finish their step and save."""
        for _, process in self._running.values():
            ask_to_stop(process)
        for _, process in self._running.values():
            process.wait()

    def _build_environment(self, slot: int) -> dict[str, str]:
        threads = {"OMP_NUM_THREADS": str(self._threads)}
        if not self._gpus:
            return threads
        first, num = int(slot * self._gpus), math.ceil(self._gpus)
        return threads | {"CUDA_VISIBLE_DEVICES": ",".join(self._devices[first : first + num])}


def list_visible_gpus() -> Sequence[str]:
    """List the GPUs that this process may use, named as CUDA_VISIBLE_DEVICES takes them."""
    import torch

    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return visible.split(",") if visible else [str(number) for number in range(torch.cuda.device_count())]
