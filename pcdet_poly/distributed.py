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


def weights_in_step(counts: Sequence[Mapping[str, Tensor]]) -> list[dict[str, Tensor]]:
    """What to multiply each batch's losses by, so that their mean over batches and processes is the large batch's.

    `counts[i]` says how many things each loss of this process's batch i is a mean over (1 where there are
    none): a mean of means would weigh a thing by how few others its own batch has.
    """
    if not counts[0] or len(counts) * world_size() == 1:
        return [{} for _ in counts]  # means over frames, of which all batches have the same number; or one batch
    own = torch.stack([torch.stack(list(one.values())).double() for one in counts])  # (batches, losses)
    share = sum_over_processes(own.sum(0)).clamp(min=1) / (len(counts) * world_size())
    weights = (own.clamp(min=1) / share).float()
    return [dict(zip(one, row.unbind(), strict=True)) for one, row in zip(counts, weights, strict=True)]


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
