"""Pillars -> bird's-eye image by sparse stages, in gathers and matrix products that ONNX has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pcdet_poly.models.layers.folded_layers import fold_linear, fold_sparse_conv
from pcdet_poly.models.layers.pillarnext.sparse_backbone import SparsePillarBackbone, StridedStage
from pcdet_poly.models.layers.sparse_layers import SparseConv, SubmanifoldConv
from pcdet_poly.models.layers.voxel_backbone import SubmanifoldResidualBlock

Shape = tuple[int, int]  # cells along y, x


class ActiveCells(NamedTuple):
    """V active cells of an image, and where each is found."""

    cell: Tensor  # (V,) int64, y * nx + x, ascending
    number: Tensor  # (ny + 2, nx + 2) int64: 1 + the cell's place among them; 0 where none is active, and at the rim
    shape: Shape


class PlainSparseStages(nn.Module):
    """`SparsePillarBackbone` without rulebooks: each row of a kernel gathers the features of three neighbours.

    A table over all cells says which row a cell has; cells that are not active have a row of zeros. So a layer costs as
    many products as it has active cells times elements, whether the neighbours are active or not.
    """

    def __init__(self, sparse: SparsePillarBackbone, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.stages = nn.ModuleList(_PlainStage(stage) for stage in sparse.stages)  # type: ignore[arg-type]
        self.output = fold_linear(sparse.output, sparse.norm)

    def forward(self, features: Tensor, cell: Tensor) -> Tensor:
        """Compute the image of one frame.

        Args:
            features: (V, C) of the pillars.
            cell: (V,) int64, y * nx + x, ascending.

        Returns:
            (1, out_channels, ny / stride, nx / stride), zero where no cell is active.
        """
        active = _number_cells(cell, self.shape)
        for stage in self.stages:
            features, active = stage(features, active)
        features = self.output(features).relu()
        ny, nx = active.shape
        image = features.new_zeros(ny * nx, features.shape[1]).index_copy(0, active.cell, features)
        return image.T.reshape(1, -1, ny, nx)


class _PlainStage(nn.Module):
    def __init__(self, stage: StridedStage) -> None:
        super().__init__()
        strided = stage.strided
        self.stride = strided.conv.stride[1]
        self.strided = _GatherConv(strided.conv, strided.norm)
        self.blocks = nn.ModuleList(_PlainBlock(block) for block in stage.blocks.layers)  # type: ignore[arg-type]

    def forward(self, features: Tensor, active: ActiveCells) -> tuple[Tensor, ActiveCells]:
        reached = _find_reached_cells(active, self.stride)
        features = self.strided(features, _list_neighbours(active, reached, self.stride)).relu()
        rows = _list_neighbours(reached, reached, 1)
        for block in self.blocks:
            features = block(features, rows)
        return features, reached


class _PlainBlock(nn.Module):
    def __init__(self, block: SubmanifoldResidualBlock) -> None:
        super().__init__()
        self.conv1, self.conv2 = _GatherConv(block.conv1, block.norm1), _GatherConv(block.conv2, block.norm2)

    def forward(self, features: Tensor, rows: Sequence[Tensor]) -> Tensor:
        residual: Tensor = self.conv2(self.conv1(features, rows).relu(), rows)
        return (features + residual).relu()


class _GatherConv(nn.Module):
    """A sparse convolution and its norm: for each row of the kernel, rows of three neighbours times a matrix."""

    weight: Tensor
    bias: Tensor
    zeros: Tensor

    def __init__(self, conv: SparseConv | SubmanifoldConv, norm: nn.BatchNorm1d) -> None:
        super().__init__()
        weight, bias = fold_sparse_conv(conv, norm)
        self.register_buffer("weight", weight.permute(1, 2, 3, 4, 0)[0].flatten(1, 2).contiguous())  # (3, 3 C, C')
        self.register_buffer("bias", bias)
        self.register_buffer("zeros", torch.zeros(1, conv.weight.shape[4]))

    def forward(self, features: Tensor, rows: Sequence[Tensor]) -> Tensor:
        padded = torch.cat([self.zeros, features])  # row 0: a cell that is not active
        parts = [padded[row].flatten(1) @ weight for row, weight in zip(rows, self.weight, strict=True)]
        return parts[0] + parts[1] + parts[2] + self.bias


def _number_cells(cell: Tensor, shape: Shape) -> ActiveCells:
    ny, nx = shape
    occupied = cell.new_zeros(ny * nx).scatter(0, cell, torch.ones_like(cell))
    number = (occupied.cumsum(0) * occupied).reshape(ny, nx)
    return ActiveCells(cell, nn.functional.pad(number, (1, 1, 1, 1)), shape)


def _find_reached_cells(active: ActiveCells, stride: int) -> ActiveCells:
    """Find the cells of the output of a 3 x 3 convolution, padded by 1, that an active cell reaches."""
    occupied = (active.number > 0).float()[None, None]  # (1, 1, ny + 2, nx + 2): padded already
    reached = nn.functional.max_pool2d(occupied, 3, stride)[0, 0]
    ny, nx = reached.shape
    return _number_cells((reached.reshape(-1) > 0).nonzero()[:, 0], (int(ny), int(nx)))


def _list_neighbours(inputs: ActiveCells, outputs: ActiveCells, stride: int) -> list[Tensor]:
    """List, for each row of the kernel, the numbers (V, 3) of the input cells that each output cell reads."""
    width = inputs.shape[1] + 2
    numbers = inputs.number.reshape(-1)
    y, x = outputs.cell // outputs.shape[1], outputs.cell % outputs.shape[1]
    corner = y * stride * width + x * stride  # of the kernel, in the padded table
    steps = torch.arange(3, device=corner.device)
    return [numbers[corner[:, None] + (steps + row * width)] for row in range(3)]
