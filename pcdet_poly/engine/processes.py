"""The processes that torchrun starts, one per GPU: joining them, averaging their gradients, stopping all at once."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from pcdet_poly.distributed import max_over_processes, sum_over_processes, wait_for_all, world_size
from pcdet_poly.engine.environment import pick_device
from pcdet_poly.errors import UserError
from pcdet_poly.signals import StopRequest, catch_stop_signals, ignore_stop_signals
from pcdet_poly.signals.child_programs import MEETING

_PARENT = os.getppid()  # torchrun, where it started this process


@contextmanager
def join_processes(device_name: str) -> Iterator[torch.device]:
    """Yield this process's device; inside, it belongs to the group of processes that torchrun started.

    A SIGINT or SIGTERM that reaches one of them is noted, and `stop_if_asked_anywhere` stops all. None leaves before
    all have come to the end, and from there on signals are ignored: torchrun sends one to those that are left as soon
    as one has left. Where torchrun started none, there is no group.
    """
    device = pick_device(device_name)
    if "LOCAL_RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
        yield device
        return
    if device.type == "cuda":
        device = _choose_gpu(int(os.environ["LOCAL_RANK"]))
    _keep_to_loopback()
    with catch_stop_signals(at_once=False):
        dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo", **_find_meeting())
        try:
            yield device
            _wait_before_leaving()
        except KeyboardInterrupt:  # raised in all processes
            _wait_before_leaving()
            raise
        finally:
            ignore_stop_signals()
            dist.destroy_process_group()


def _find_meeting() -> dict[str, Any]:
    """Return how processes find each other: by a file that is named, which opens no port; else as torchrun says.

    A port of torch's is open to all interfaces, whatever it is told.
    """
    path, rank, size = (os.environ.get(name, "") for name in (MEETING, "RANK", "WORLD_SIZE"))
    if not path:
        return {}
    store = dist.FileStore(path, int(size))  # type: ignore[attr-defined]
    return {"store": store, "rank": int(rank), "world_size": int(size)}


def _keep_to_loopback() -> None:
    """Let processes of one machine talk over its loopback interface: by themselves they take the one to the network."""
    if os.environ.get("LOCAL_WORLD_SIZE") == os.environ["WORLD_SIZE"] and sys.platform == "linux":
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
        os.environ.setdefault("NCCL_SOCKET_IFNAME", "lo")


def _wait_before_leaving() -> None:
    """Return once every process has come to its end. A process that is lost by now takes nothing with it."""
    with suppress(RuntimeError):
        wait_for_all()


def _choose_gpu(number: int) -> torch.device:
    if number >= torch.cuda.device_count():
        raise UserError(
            f"torchrun: process {number} of this machine has no GPU, there are {torch.cuda.device_count()}; "
            "lower --nproc-per-node, or use --device cpu"
        )
    torch.cuda.set_device(number)
    return torch.device("cuda", number)


@torch.no_grad()
def average_gradients(model: nn.Module) -> None:
    """Replace every gradient by its mean over processes: one message after the backward pass.

    A parameter that some processes have no gradient of counts as 0 there; one without any keeps none.
    """
    if world_size() == 1:
        return
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    present = torch.tensor([each.grad is not None for each in parameters], dtype=torch.uint8)
    dist.all_reduce(present, dist.ReduceOp.MAX)  # between CPUs: waits for no GPU
    used = [each for each, somewhere in zip(parameters, present.tolist(), strict=True) if somewhere]
    gradients = [torch.zeros_like(each) if each.grad is None else each.grad for each in used]
    mean = sum_over_processes(torch.cat([each.reshape(-1) for each in gradients])) / world_size()
    parts = torch.split(mean, [each.numel() for each in used])
    for parameter, gradient, part in zip(used, gradients, parts, strict=True):
        parameter.grad = gradient.copy_(part.view(parameter.shape))


@torch.no_grad()
def share_buffers(model: nn.Module) -> None:
    """Give all processes process 0's running statistics, which differ where batch norms are not synchronised."""
    if world_size() > 1:
        for buffer in model.buffers():
            dist.broadcast(buffer, src=0)


def build_rerun_command(option: str) -> str:
    """Return the command that started this program, with `option` added."""
    script, words = Path(sys.argv[0]), [*sys.argv[1:], *(() if option in sys.argv else (option,))]
    target = ["-m", script.parent.name] if script.name == "__main__.py" else [sys.argv[0]]
    if dist.is_initialized():
        return shlex.join(["torchrun", "--nproc-per-node", os.environ["LOCAL_WORLD_SIZE"], *target, *words])
    if script.stem == "pcdet-poly":  # the console script finds its Python itself
        return shlex.join([script.stem, *words])
    return shlex.join([Path(sys.executable).name, *target, *words])


def stop_if_asked_anywhere(stop: StopRequest) -> None:
    """Raise KeyboardInterrupt in all processes if somebody asked one of them to stop, or torchrun has ended.

    All must call it.
    """
    own = signal.SIGTERM if _has_lost_torchrun() else 0
    if signum := max_over_processes(stop.signum or own):
        stop.signum = signum  # all processes end with the same exit code
        stop.raise_if_asked()


def _has_lost_torchrun() -> bool:
    """Return whether torchrun started this process and is gone: at a second Ctrl-C it ends without a word to us."""
    return "TORCHELASTIC_RUN_ID" in os.environ and os.getppid() != _PARENT
