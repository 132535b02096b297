"""What the processes of one training (torchrun) tell each other; with one process all of it is free."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

T = TypeVar("T")


def world_size() -> int:
    """Return the number of processes that train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Return the number of this process among them, from 0. Process 0 alone writes files and prints."""
    return dist.get_rank() if world_size() > 1 else 0


class _SumOverProcesses(torch.autograd.Function):
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
    """Return the sum of every process's `value`, in all of them.

    Its gradient is that of the sum of all processes' losses.
    """
    if world_size() == 1:
        return value
    total: Tensor = _SumOverProcesses.apply(value)  # type: ignore[no-untyped-call]
    return total


def compute_loss_weights(counts: Sequence[Mapping[str, Tensor]]) -> list[dict[str, Tensor]]:
    """Return what to multiply the losses of each batch by, so that a step's mean loss is that of one large batch.

    Each loss of a batch is a mean over some things, say objects. A mean of such means over batches and processes would
    weigh an object by how few others its own batch has; these weights make up for that.

    Args:
        counts: for each batch of this process, the number of things that each loss is a mean over (1 where there are
            none), as a scalar tensor by name.

    Returns:
        For each batch the factor of each loss, a scalar tensor by name; a loss without one keeps its value.
    """
    if not counts[0] or len(counts) * world_size() == 1:
        return [{} for _ in counts]  # means over frames, of which all batches have the same number; or one batch
    own = torch.stack([torch.stack(list(one.values())).double() for one in counts])  # (batches, losses)
    share = sum_over_processes(own.sum(0)).clamp(min=1) / (len(counts) * world_size())
    weights = (own.clamp(min=1) / share).float()
    return [dict(zip(one, row.unbind(), strict=True)) for one, row in zip(counts, weights, strict=True)]


def is_set_in_any_process(flag: bool) -> bool:
    """Return whether `flag` is true in any process. Returns once all have asked, and does not wait for a GPU."""
    return bool(max_over_processes(int(flag)))


def max_over_processes(number: int) -> int:
    """Return the largest `number` of all processes. Returns once all have asked, and does not wait for a GPU."""
    if world_size() == 1:
        return number
    largest = torch.tensor(number)
    dist.all_reduce(largest, dist.ReduceOp.MAX)
    return int(largest)


def wait_for_all() -> None:
    """Return once every process has called this; one that ends or fails meanwhile ends the others."""
    is_set_in_any_process(False)


def broadcast_from_first(value: T) -> T:
    """Return process 0's `value` in all processes."""
    if world_size() == 1:
        return value
    values = [value]
    dist.broadcast_object_list(values, src=0)
    return values[0]


def gather_to_first(value: T) -> list[T]:
    """Return every process's `value` by rank in process 0, and an empty list in the others."""
    if world_size() == 1:
        return [value]
    values: list[Any] = [None] * world_size() if rank() == 0 else []
    dist.gather_object(value, values or None, dst=0)
    return values
