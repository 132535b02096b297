"""What the processes of one training (torchrun) tell each other; with one process all of it is free."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

T = TypeVar("T")


def world_size() -> int:
    """Number of processes that train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """This process among them, from 0. Process 0 alone writes files and prints."""
    return dist.get_rank() if world_size() > 1 else 0


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        total = value.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total


def sum_over_processes(value: Tensor) -> Tensor:
    """Sum of every process's `value`, in all of them; its gradient is that of the sum of all processes' losses."""
    if world_size() == 1:
        return value
    total: Tensor = _Sum.apply(value)  # type: ignore[no-untyped-call]
    return total


def mean_counts(counts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """What losses are divided by: each count's mean over `counts` and all processes, at least 1 in all of them.

    Sums of losses, each divided by these and then averaged over batches and processes, are the loss of
    one large batch: the average of its objects, not the average of small batches' averages.
    """
    total = torch.stack([torch.stack(list(one.values())).double() for one in counts]).sum(0)  # (parts,)
    shares = sum_over_processes(total).clamp(min=1) / (len(counts) * world_size())
    return dict(zip(counts[0], shares.float().unbind(), strict=True))


def anywhere(flag: bool) -> bool:
    """Whether `flag` is set in any process; returns once all have asked. Does not wait for a GPU."""
    if world_size() == 1:
        return flag
    asked = torch.tensor(int(flag))
    dist.all_reduce(asked, dist.ReduceOp.MAX)
    return bool(asked)


def from_first(value: T) -> T:
    """Process 0's `value`, in all of them."""
    if world_size() == 1:
        return value
    values = [value]
    dist.broadcast_object_list(values, src=0)
    return values[0]


def gathered(value: T) -> list[T]:
    """Every process's `value` by rank, in process 0; an empty list in the others."""
    if world_size() == 1:
        return [value]
    values: list[Any] = [None] * world_size() if rank() == 0 else []
    dist.gather_object(value, values or None, dst=0)
    return values
