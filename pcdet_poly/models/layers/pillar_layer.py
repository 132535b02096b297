"""Linear layer and batch norm of a pillar encoder, as one linear map of points and a shift of each pillar."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from pcdet_poly.distributed import sum_over_processes
from pcdet_poly.models.layers.pillar_padding import Pooled
from pcdet_poly.models.layers.shared_inputs import SharesInputs
from pcdet_poly.models.layers.sync_norm import SyncBatchNorm1d
from pcdet_poly.ops.pillars import gram_matrix


class PillarLayer(SharesInputs):
    """Linear layer and batch norm on points, as one linear map whose part on pooled features is done per pillar.

    Batch norm needs no pass over the layer's outputs: their mean and variance are W m and
    diag(W S W'), with m and S the mean and covariance of the inputs.
    """

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(in_channels, width, bias=False)
        self.norm = nn.BatchNorm1d(width, eps=1e-3, momentum=0.01)

    def forward(self, features: Tensor, pooled: Pooled | None, rows: Tensor, num_rows: int) -> tuple[Tensor, Tensor]:
        """Express layer and batch norm as a linear map of features and a shift per pillar.

        Args:
            features: (K, C) of the points in pillars; those of the first layer end with a column of ones, which
                takes the bias.
            pooled: pools of the layer before, None for the first layer.
            rows: (V,) int64 rows of each pillar, those without a point included.
            num_rows: their sum.

        Returns:
            A weight (width, C) for the features, and a shift of each pillar's rows, (V, width).
        """
        mean, variance = self._find_statistics(features, pooled, rows, num_rows)
        scale = self.norm.weight * (variance + self.norm.eps).rsqrt()
        weight = scale[:, None] * self._pad_weight(features, pooled)
        bias = self.norm.bias - scale * mean
        if pooled is None:
            return torch.cat([weight, bias[:, None]], dim=1), weight.new_zeros(len(rows), len(weight))
        own, of_pooled = torch.tensor_split(weight, [features.shape[1]], dim=1)
        return own, pooled.highest @ of_pooled.T + bias

    def _pad_weight(self, features: Tensor, pooled: Pooled | None) -> Tensor:
        """Return the linear layer's weight, with zeros for an offset that it does not take: (width, inputs)."""
        weight = self.linear.weight
        unused = features.shape[1] - 1 - weight.shape[1] if pooled is None else 0
        return nn.functional.pad(weight, (0, unused)) if unused else weight

    def _find_statistics(
        self, features: Tensor, pooled: Pooled | None, rows: Tensor, num_rows: int
    ) -> tuple[Tensor, Tensor]:
        """Mean and variance (width,) of the linear layer's outputs; the running ones in evaluation.

        One row or none has no variance: it passes by the running ones too.
        """
        norm = self.norm
        assert norm.running_mean is not None
        assert norm.running_var is not None
        if not self.training:
            return norm.running_mean, norm.running_var
        total, outer = self._sum_moments(features, pooled, rows)
        count: int | Tensor = num_rows
        if isinstance(norm, SyncBatchNorm1d):
            count, total, outer = _sum_over_processes(total.new_tensor(count), total, outer)
        if count < 2:
            return norm.running_mean, norm.running_var
        weight = self._pad_weight(features, pooled).double()
        mean = weight @ total / count
        variance = (((weight @ outer) * weight).sum(1) / count - mean.square()).clamp_min(0)
        _update_running(norm, mean, variance * count / (count - 1))
        return mean.to(features.dtype), variance.to(features.dtype)

    def _sum_moments(self, features: Tensor, pooled: Pooled | None, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Sum the features of all rows, (C,), and their outer products, (C, C), pillars' maxima appended; float64.

        Rows without a point are zeros in the first layer, and in the pools in later ones.
        """
        if pooled is None:
            outer = self.compute_once("products", (features,), lambda: gram_matrix(features))
            return outer[-1, :-1], outer[:-1, :-1]
        total, highest = pooled.total.double(), pooled.highest.double()
        repeated = rows[:, None] * highest
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
