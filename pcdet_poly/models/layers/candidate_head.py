"""A trained centre head for inference: box branches are computed at the cells that may become boxes, and nowhere else.

B frames, C channels of features, K classes of a group, H x W cells, N candidates in each frame, M of them all wanted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from pcdet_poly.models.layers.center_head import CenterHead, HeadGroup
from pcdet_poly.structures import CellValues

CHUNK = 2048  # cells at a time: 28 MB of hidden values of six branches
# A cell alone takes nine hidden values, where a map's cells share them.
DENSE_FROM = 1 / 9  # share of the cells from which whole maps are less work
CODE = ("offset", "z", "size", "heading")


class CandidateHead(nn.Module):
    """What `head` computes, from the same features, with boxes of chosen cells in place of maps.

    Args:
        head: a head without batch norms (`fuse_for_inference`); its layers are shared with it.
    """

    def __init__(self, head: CenterHead) -> None:
        super().__init__()
        self.group_of_class = head.group_of_class
        self.shared = head.shared
        self.groups = nn.ModuleList(_CandidateGroup(group) for group in head.list_groups())

    def forward(self, bev: Tensor) -> CandidateMaps:
        """Compute the heatmaps of bird's-eye features (B, C, H, W), and keep what boxes are computed from."""
        shared = self.shared(bev)
        return CandidateMaps(tuple(group(shared) for group in self.groups), self.group_of_class)


class _CandidateGroup(nn.Module):
    def __init__(self, group: HeadGroup) -> None:
        super().__init__()
        self.up = group.up
        self.heatmap = group.branches["heatmap"]
        self.branches = BranchesAtCells({name: part for name, part in group.branches.items() if name != "heatmap"})

    def forward(self, shared: Tensor) -> CandidateGroupMaps:
        features = self.up(shared)
        return CandidateGroupMaps(self.heatmap(features), features, self.branches)


@dataclass(frozen=True)
class CandidateGroupMaps:
    """Heatmap of one group of classes, and its boxes where they are asked for."""

    heatmap: Tensor  # (B, K, H, W) logits
    features: Tensor  # (B, C, H, W) that the branches read
    branches: BranchesAtCells

    def read_cells(self, cell: Tensor, wanted: Tensor) -> CellValues:
        """Compute what the branches say of cells.

        Args:
            cell: (B, N) int64, y * W + x.
            wanted: (B, N) bool; other cells get zeros.

        Returns:
            The values, computed in float32.
        """
        frame, place = wanted.nonzero(as_tuple=True)  # (M,)
        found = self.branches(self.features, frame, cell[frame, place])

        def put_back(values: Tensor) -> Tensor:
            all_cells = values.new_zeros(*cell.shape, values.shape[1])
            all_cells[frame, place] = values
            return all_cells

        code = put_back(torch.cat([found[name] for name in CODE], dim=1))
        iou, velocity = (put_back(found[name]) if name in found else None for name in ("iou", "velocity"))
        return CellValues(code, iou, velocity)


@dataclass(frozen=True)
class CandidateMaps:
    """Output of a CandidateHead; `decode` reads it as it reads CenterMaps."""

    groups: tuple[CandidateGroupMaps, ...]
    group_of_class: tuple[int, ...] | None  # K numbers; None: one group

    def list_groups(self) -> Sequence[Sequence[int]]:
        """List the classes of each group, ascending."""
        numbers = self.group_of_class or (0,) * self.groups[0].heatmap.shape[1]
        return [[k for k, i in enumerate(numbers) if i == group] for group in range(len(self.groups))]

    def split_groups(self) -> Sequence[CandidateGroupMaps]:
        """Return the maps of each group."""
        return self.groups


class BranchesAtCells(nn.Module):
    """Branches of two 3 x 3 convolutions, a ReLU between them, at single cells of an image.

    Args:
        branches: convolution, nothing in place of a norm, ReLU, convolution; by name, all of the same width.
    """

    weight: Tensor  # of all branches' first convolutions
    bias: Tensor

    def __init__(self, branches: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.branches = nn.ModuleDict(branches)
        weights, biases = [], []
        for branch in branches.values():
            first, norm, activation, last = branch.children()
            assert isinstance(norm, nn.Identity)
            assert isinstance(activation, nn.ReLU)
            for layer in (first, last):
                assert isinstance(layer, nn.Conv2d)
                assert layer.bias is not None
                assert (layer.kernel_size, layer.padding, layer.stride) == ((3, 3), (1, 1), (1, 1))
            weights.append(cast(nn.Conv2d, first).weight.detach())
            biases.append(cast(Tensor, first.bias).detach())
        self.register_buffer("weight", torch.cat(weights))
        self.register_buffer("bias", torch.cat(biases))

    def forward(self, features: Tensor, frame: Tensor, cell: Tensor) -> dict[str, Tensor]:
        """Compute the branches' outputs.

        Args:
            features: (B, C, H, W).
            frame: (M,) int64 number of each cell's frame.
            cell: (M,) int64, y * W + x.

        Returns:
            (M, channels) float32 by branch.
        """
        num_frames, _, height, width = features.shape
        with torch.autocast(features.device.type, enabled=False):
            if len(cell) > DENSE_FROM * num_frames * height * width:
                image, row, column = features.float(), cell // width, cell % width
                return {name: branch(image)[frame, :, row, column] for name, branch in self.branches.items()}
            starts = range(0, max(len(cell), 1), CHUNK)
            chunks = [slice(start, start + CHUNK) for start in starts]
            parts = [self._compute_chunk(features, frame[chunk], cell[chunk]) for chunk in chunks]
            return {name: torch.cat([part[name] for part in parts]) for name in self.branches}

    def _compute_chunk(self, features: Tensor, frame: Tensor, cell: Tensor) -> dict[str, Tensor]:
        """Convolve the 5 x 5 neighbourhoods of cells; what lies beyond the image is zero in both layers' inputs."""
        height, width = features.shape[2:]
        steps = torch.arange(-2, 3, device=cell.device)
        row, column = (cell // width)[:, None] + steps, (cell % width)[:, None] + steps  # (M, 5)
        inside = ((row >= 0) & (row < height))[:, :, None] & ((column >= 0) & (column < width))[:, None]  # (M, 5, 5)
        row, column = row.clamp(0, height - 1), column.clamp(0, width - 1)
        patches = features.permute(0, 2, 3, 1)[frame[:, None, None], row[:, :, None], column[:, None]]  # (M, 5, 5, C)
        patches = (patches.float() * inside[..., None]).permute(0, 3, 1, 2)
        hidden = nn.functional.conv2d(patches, self.weight, self.bias).relu_()  # (M, branches * C', 3, 3)
        hidden = hidden * inside[:, None, 1:4, 1:4]
        found = {}
        for (name, branch), values in zip(self.branches.items(), hidden.chunk(len(self.branches), dim=1), strict=True):
            last = cast(nn.Conv2d, branch.get_submodule("3"))
            found[name] = nn.functional.conv2d(values, last.weight, last.bias).flatten(1)
        return found
