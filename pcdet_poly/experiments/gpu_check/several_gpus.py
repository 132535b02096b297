"""What two processes with a GPU each tell each other: sums of gradients, and how fast."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import torch.distributed as dist
from torch.multiprocessing.spawn import spawn

from pcdet_poly.experiments.gpu_check.place import Place

_NUM_VALUES = 8_000_000  # float32: gradients of a network


def compare_processes(place: Place) -> dict[str, Any]:
    """Sum gradients over two processes by NCCL; a dry run is one process, by gloo.

    Returns:
        Number of processes, whether the sum is right, milliseconds of a sum; only the number where there is one GPU.
    """
    count = 1 if place.is_dry else min(torch.cuda.device_count(), 2)
    if count < 2 and not place.is_dry:
        return {"processes": count}
    with TemporaryDirectory() as folder:
        if place.is_dry:
            sum_gradients(0, count, folder, place.device)
        else:
            spawn(sum_gradients, (count, folder, place.device), nprocs=count)  # type: ignore[no-untyped-call]
        found: dict[str, Any] = json.loads((Path(folder) / "found.json").read_text("utf-8"))
    return found


def sum_gradients(rank: int, count: int, folder: str, device: str) -> None:
    """Sum known numbers over all processes, and write into `folder` what came of it.

    Args:
        rank: number of this process.
        count: of the processes.
        folder: where they meet, by a file, so that no port is opened.
        device: `cuda` for NCCL, `cpu` for gloo.
    """
    os.environ.setdefault("TORCH_DISABLE_SHARE_RDZV_TCP_STORE", "1")
    store = dist.FileStore(str(Path(folder) / "meeting"), count)  # type: ignore[attr-defined]
    dist.init_process_group("nccl" if device == "cuda" else "gloo", store=store, rank=rank, world_size=count)
    try:
        place = torch.device(device, rank) if device == "cuda" else torch.device(device)
        if device == "cuda":
            torch.cuda.set_device(place)
        values = torch.full((_NUM_VALUES if device == "cuda" else 100,), rank + 1.0, device=place)
        dist.all_reduce(values)
        is_right = bool((values == count * (count + 1) / 2).all())
        begin_s = time.perf_counter()
        for _ in range(5):
            dist.all_reduce(values)
        if device == "cuda":
            torch.cuda.synchronize()
        ms = 1e3 * (time.perf_counter() - begin_s) / 5
        if rank == 0:
            found = {"processes": count, "is_right": is_right, "ms": ms, "mb": values.nbytes / 1e6}
            (Path(folder) / "found.json").write_text(json.dumps(found), "utf-8")
    finally:
        dist.destroy_process_group()
