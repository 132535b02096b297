"""Trials as processes of this machine, so many at a time."""

from __future__ import annotations

import math
import os
import signal
import subprocess
from collections.abc import Sequence

from pcdet_poly.errors import UserError
from pcdet_poly.experiments.sweep.folder import SweepFolder
from pcdet_poly.experiments.sweep.trial import trial_command


class LocalExecutor:
    """Starts trials in free places; place i has its own GPUs, or its share of one."""

    def __init__(self, folder: SweepFolder, *, workers: int, threads: int, gpus: float) -> None:
        self._folder, self._threads, self._gpus = folder, threads, gpus
        self._devices = visible_gpus() if gpus else []
        if gpus and len(self._devices) < math.ceil(workers * gpus):
            raise UserError(
                f"gpus: {workers} trials at a time on {gpus:g} each, but torch sees {len(self._devices)}; "
                "lower --workers, or gpus in the sweep's file"
            )
        self._free = list(range(workers))
        self._running: dict[str, tuple[int, subprocess.Popen[bytes]]] = {}

    def has_room(self) -> bool:
        """Whether another trial may start now."""
        return bool(self._free)

    def start(self, name: str) -> None:
        """Start a trial; what it prints goes to its log."""
        place = self._free.pop(0)
        self._folder.log(name).parent.mkdir(parents=True, exist_ok=True)
        with open(self._folder.log(name), "ab") as log:
            process = subprocess.Popen(
                trial_command(self._folder, name, self._gpus),
                stdout=log,
                stderr=log,
                env=os.environ | self._environment(place),
                start_new_session=True,  # Ctrl-C reaches it through `stop`, once
            )
        self._running[name] = (place, process)

    def ended(self) -> list[tuple[str, int]]:
        """Names and exit codes of trials that have ended since the last call."""
        found = []
        for name, (place, process) in list(self._running.items()):
            if (code := process.poll()) is not None:
                del self._running[name]
                self._free.append(place)
                found.append((name, code))
        return found

    def stop(self) -> None:
        """Let running trials finish their step and save, as Ctrl-C does."""
        for _, process in self._running.values():
            process.send_signal(signal.SIGINT)
        for _, process in self._running.values():
            process.wait()

    def _environment(self, place: int) -> dict[str, str]:
        threads = {"OMP_NUM_THREADS": str(self._threads)}
        if not self._gpus:
            return threads
        first, num = int(place * self._gpus), math.ceil(self._gpus)
        return threads | {"CUDA_VISIBLE_DEVICES": ",".join(self._devices[first : first + num])}


def visible_gpus() -> Sequence[str]:
    """Names of the GPUs that this process may use, as CUDA_VISIBLE_DEVICES takes them."""
    import torch

    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return named.split(",") if named else [str(number) for number in range(torch.cuda.device_count())]
