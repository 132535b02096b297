"""Starts processes that train together, as torchrun does."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from torch.distributed import TCPStore

ROOT = Path(__file__).resolve().parent.parent.parent


@contextmanager
def start_group(command: Sequence[str], folder: Path) -> Iterator[list[subprocess.Popen[str]]]:
    """Run `command` in `folder` as two processes of one group, and end those that are left when the block ends."""
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)  # the system chooses the port
    group = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(store.port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
    }
    processes = [
        subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **group, "RANK": number, "LOCAL_RANK": number},
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in "01"
    ]
    try:
        yield processes
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
                process.communicate()
