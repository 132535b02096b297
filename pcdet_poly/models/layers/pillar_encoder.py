"""Points -> pillar features: a small PointNet per pillar, any number of points in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pcdet_poly.distributed import sum_over_processes
from pcdet_poly.models.layers.sync_norm import SyncBatchNorm1d
from pcdet_poly.ops.pillars import gram_matrix, linear_max, linear_relu_pool, sort_and_decorate
from pcdet_poly.structures import Voxels
from pcdet_poly.structures.pillars import Pillars


class Pooled(NamedTuple):
    """Pools of a layer's outputs: what the next layer's batch norm and its pooled inputs need."""

    total: Tensor  # (V, C) sum over each pillar
    highest: Tensor  # (V, C) maximum over each pillar
    product: Tensor  # (C, C) sum of outer products over all points; zeros in evaluation


class PillarEncoder(nn.Module):
    """Dynamic pillar encoder: layers of linear map, batch norm and ReLU on points, then the maximum over each pillar.

    Each point's inputs are its columns, its offset from the mean of its pillar's points and its
    offset from the pillar's centre. A layer that is not the last makes half its width per point
    and appends the pillar's maximum of it.
    Shapes: P points, K of them in pillars, V pillars, C channels.
    """

    def __init__(self, point_channels: int, channels: Sequence[int]) -> None:
        super().__init__()
        widths = [width // 2 for width in channels[:-1]] + [channels[-1]]
        inputs = [point_channels + 6, *channels[:-1]]
        self.layers = nn.ModuleList(PillarLayer(*sizes) for sizes in zip(inputs, widths, strict=True))

    def forward(self, points: Tensor, voxels: Voxels) -> Tensor:
        """Points (P, C) and the pillars they lie in -> (V, channels[-1]); points in no pillar are left out."""
        features, pillars = sort_and_decorate(points, voxels)  # (K, C + 7)
        pooled = None
        for layer in self.layers[:-1]:
            weight, shift = layer(features, pooled, pillars)
            features, *pools = linear_relu_pool(features, weight, shift, pillars, with_product=self.training)
            pooled = Pooled(*pools)
        weight, shift = self.layers[-1](features, pooled, pillars)
        return (linear_max(features, weight, pillars) + shift).relu()


class PillarLayer(nn.Module):
    """Linear layer and batch norm on points, as one linear map whose part on pooled features is done per pillar.

    Batch norm needs no pass over the layer's outputs: their mean and variance are W m and
    diag(W S W'), with m and S the mean and covariance of the inputs.
    """

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(in_channels, width, bias=False)
        self.norm = nn.BatchNorm1d(width, eps=1e-3, momentum=0.01)

    def forward(self, features: Tensor, pooled: Pooled | None, pillars: Pillars) -> tuple[Tensor, Tensor]:
        """Express layer and batch norm as a linear map of features and a shift per pillar.

        Args:
            features: (K, C) of the points in pillars; those of the first layer end with a column of ones, which
                takes the bias.
            pooled: pools of the layer before, None for the first layer.
            pillars: which rows belong to which of the V pillars.

        Returns:
            A weight (width, C) for the features, and a shift (V, width) of each pillar's points.
        """
        mean, variance = self._find_statistics(features, pooled, pillars)
        scale = self.norm.weight * (variance + self.norm.eps).rsqrt()
        weight = scale[:, None] * self.linear.weight
        bias = self.norm.bias - scale * mean
        if pooled is None:
            return torch.cat([weight, bias[:, None]], dim=1), weight.new_zeros(len(pillars), len(weight))
        own, of_pooled = torch.tensor_split(weight, [features.shape[1]], dim=1)
        return own, pooled.highest @ of_pooled.T + bias

    def _find_statistics(self, features: Tensor, pooled: Pooled | None, pillars: Pillars) -> tuple[Tensor, Tensor]:
        """Mean and variance (width,) of the linear layer's outputs; the running ones in evaluation.

        One point or none has no variance: it passes by the running ones too.
        """
        norm = self.norm
        assert norm.running_mean is not None
        assert norm.running_var is not None
        if not self.training:
            return norm.running_mean, norm.running_var
        total, outer = _sum_moments(features, pooled, pillars)
        count: int | Tensor = len(features)
        if isinstance(norm, SyncBatchNorm1d):
            count, total, outer = _sum_over_processes(total.new_tensor(count), total, outer)
        if count < 2:
            return norm.running_mean, norm.running_var
        weight = self.linear.weight.double()
        mean = weight @ total / count
        variance = (((weight @ outer) * weight).sum(1) / count - mean.square()).clamp_min(0)
        _update_running(norm, mean, variance * count / (count - 1))
        return mean.to(features.dtype), variance.to(features.dtype)


def _sum_moments(features: Tensor, pooled: Pooled | None, pillars: Pillars) -> tuple[Tensor, Tensor]:
    """Sum the features of all points, (C,), and their outer products, (C, C), pillars' maxima appended; float64."""
    if pooled is None:
        outer = gram_matrix(features)
        return outer[-1, :-1], outer[:-1, :-1]
    total, highest = pooled.total.double(), pooled.highest.double()
    repeated = pillars.num_points[:, None] * highest
    cross = total.T @ highest
    outer = torch.cat([torch.cat([pooled.product, cross], 1), torch.cat([cross.T, highest.T @ repeated], 1)])
    return torch.cat([total.sum(0), repeated.sum(0)]), outer


def _sum_over_processes(*parts: Tensor) -> Iterator[Tensor]:
    """Sum each tensor over all processes, in one message."""
    total = sum_over_processes(torch.cat([part.reshape(-1) for part in parts]))
    return (
        each.view(part.shape)
        for part, each in zip(parts, torch.split(total, [part.numel() for part in parts]), strict=True)
    )


@torch.no_grad()
def _update_running(norm: nn.BatchNorm1d, mean: Tensor, variance: Tensor) -> None:
    """Update the running statistics of `norm` as nn.BatchNorm1d does in training."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert norm.num_batches_tracked is not None
    assert norm.momentum is not None
    norm.running_mean.lerp_(mean.to(norm.running_mean.dtype), norm.momentum)
    norm.running_var.lerp_(variance.to(norm.running_var.dtype), norm.momentum)
    norm.num_batches_tracked += 1
