"""Batch norm over the batches of all processes, on any device.

torch.nn.SyncBatchNorm runs on CUDA alone. N values per channel in this process, C channels.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from pcdet_poly.distributed import sum_over_processes
from pcdet_poly.models.layers.eager import run_eagerly


class _Normalize(torch.autograd.Function):
    """(values - mean) / sqrt(variance + eps) * weight + bias, and the mean, variance and number of all processes'."""

    @staticmethod
    def forward(
        ctx: Any, values: Tensor, weight: Tensor, bias: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        count, mean, variance = _gather_statistics(values)
        inverse = (variance + eps).rsqrt()
        ctx.save_for_backward(values, weight, mean, inverse, count)
        ctx.mark_non_differentiable(mean, variance, count)
        centred = values - _broadcast(mean, values)
        output = torch.addcmul(_broadcast(bias, values), centred, _broadcast(weight * inverse, values))
        return output.to(values.dtype), mean, variance, count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        values, weight, mean, inverse, count = ctx.saved_tensors
        normalized = (values - _broadcast(mean, values)) * _broadcast(inverse, values)
        dims = _reduced_dims(values)
        own = torch.stack([gradient.float().sum(dims), (gradient * normalized).sum(dims)])  # (2, C)
        through_mean, through_variance = sum_over_processes(own) / count
        change = gradient - _broadcast(through_mean, values) - normalized * _broadcast(through_variance, values)
        return (change * _broadcast(weight * inverse, values)).to(values.dtype), own[1], own[0], None


def _gather_statistics(values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Number () of values per channel, their mean (C,) and variance (C,), over all processes.

    Sums of squares go through float64, where a mean far from 0 leaves enough digits for the variance.
    """
    count = values.numel() // values.shape[1]
    variance, mean = torch.var_mean(values.float(), _reduced_dims(values), correction=0)
    variance, mean = (
        each.double() if count else torch.zeros_like(each, dtype=torch.float64) for each in (variance, mean)
    )
    own = torch.cat([mean, variance + mean.square(), mean.new_ones(1)]) * count
    sums = sum_over_processes(own)
    total = sums[-1].clamp(min=1)
    mean, square = (sums[:-1] / total).view(2, -1)
    return total.float(), mean.float(), (square - mean.square()).clamp(min=0).float()


def _reduced_dims(values: Tensor) -> list[int]:
    return [0, *range(2, values.dim())]


def _broadcast(channels: Tensor, values: Tensor) -> Tensor:
    """(C,) so that it broadcasts over (N, C, ...)."""
    return channels.view(-1, *[1] * (values.dim() - 2))


class _Synchronized(nn.modules.batchnorm._BatchNorm):
    @run_eagerly  # the processes must meet here
    def forward(self, values: Tensor) -> Tensor:
        if not self.training:
            return super().forward(values)
        parts: tuple[Tensor, ...] = _Normalize.apply(  # type: ignore[no-untyped-call]
            values, self.weight, self.bias, self.eps
        )
        normalized, *statistics = parts
        if self.track_running_stats:
            self._track(*statistics)
        return normalized

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        momentum = self.momentum * (count > 1).float()  # one value has no variance
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(variance * count / (count - 1).clamp(min=1), momentum)
        self.num_batches_tracked += 1


class SyncBatchNorm1d(_Synchronized, nn.BatchNorm1d):
    """`nn.BatchNorm1d` over the batches of all processes; some may be empty.

    Fewer than two values in all leave the running statistics as they are.
    """


class SyncBatchNorm2d(_Synchronized, nn.BatchNorm2d):
    """`nn.BatchNorm2d` over the batches of all processes."""


def synchronize_norms(model: nn.Module) -> None:
    """Make every batch norm of `model` one over all processes. Weights, statistics and names stay."""
    kinds: dict[type[nn.Module], type[nn.Module]] = {nn.BatchNorm1d: SyncBatchNorm1d, nn.BatchNorm2d: SyncBatchNorm2d}
    for module in model.modules():
        for plain, synchronised in kinds.items():
            if isinstance(module, plain):
                module.__class__ = synchronised
