"""Convolution of features on active cells, by its rulebook: gather, multiply, add, one kernel element at a time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from pcdet_poly.ops.dispatch import check_shape, find_back_end
from pcdet_poly.structures import SparseTensor
from pcdet_poly.structures.rulebook import Rulebook

Backend = Literal["torch", "spconv"]


def sparse_conv(features: Tensor, weight: Tensor, rulebook: Rulebook, *, backend: Backend = "torch") -> SparseTensor:
    """Convolve features on active cells, without bias.

    Equal to torch's conv3d of the dense tensor that is zero elsewhere, at the rulebook's output cells.
    Differentiable once; the order of all sums is fixed.

    Args:
        features: (V, C) of the rulebook's input cells.
        weight: (C', kz, ky, kx, C), as spconv stores it.
        rulebook: of the convolution.
        backend: "spconv" runs that package's kernels on a GPU; on a CPU, where they are wrong, ours run all the same.

    Returns:
        (V', C') on the output cells.

    Raises:
        UserError: spconv is asked for and not installed.
        ValueError: features and weight do not fit each other or the rulebook.
    """
    if backend not in ("torch", "spconv"):
        raise ValueError(f"sparse_conv: backend {backend!r}; give torch or spconv")
    check_shape("sparse_conv", "weight", weight, " ".join(["C'", *map(str, rulebook.kernel), "C"]))
    check_shape("sparse_conv", "features", features, f"V {weight.shape[4]}")
    if len(features) != rulebook.num_inputs:
        raise ValueError(f"sparse_conv: {len(features)} rows of features for {rulebook.num_inputs} cells")
    if backend == "spconv" and len(rulebook.input):
        theirs = find_back_end("sparse_conv", features).convolve_by_spconv(features, weight, rulebook)
        if theirs is not None:
            return SparseTensor(theirs, rulebook.sites)
    by_element = weight.flatten(1, 3).permute(1, 2, 0).contiguous()  # (K, C, C')
    result: Tensor = _SparseConv.apply(features, by_element, rulebook)  # type: ignore[no-untyped-call]
    return SparseTensor(result, rulebook.sites)


def sparse_to_bev(tensor: SparseTensor, *, channels_last: bool = False) -> Tensor:
    """Features (V, C) -> bird's-eye image (B, C * nz, ny, nx), channel c * nz + z, zero where no cell is active."""
    nz, ny, nx = tensor.sites.shape
    features, num_channels = tensor.features, tensor.features.shape[1]
    frame, z, y, x = tensor.sites.coordinates().T
    row = (frame * ny + y) * nx + x
    image = features.new_zeros(tensor.sites.num_frames * ny * nx, num_channels, nz)
    image = image.index_put((row, torch.arange(num_channels, device=row.device)[:, None], z), features.T)
    image = image.view(tensor.sites.num_frames, ny, nx, num_channels * nz).permute(0, 3, 1, 2)
    return image if channels_last else image.contiguous()


class _SparseConv(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor, rulebook: Rulebook) -> Tensor:
        ctx.save_for_backward(features, weight)
        ctx.rulebook = rulebook
        add_rows, longest = _plan_tiles(rulebook)
        if rulebook.centre is None:
            result = features.new_zeros(len(rulebook.sites), weight.shape[2])
        else:
            result = torch.mm(features, weight[rulebook.centre])
        gathered, products = (features.new_empty(longest, width) for width in weight.shape[1:])
        for k, inputs, outputs in _iterate_tiles(rulebook, longest):
            values = _gather_rows(features, inputs, gathered)
            add_rows(result, outputs, torch.mm(values, weight[k], out=products[: len(values)]))
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, to_result: Tensor) -> tuple[Tensor, Tensor, None]:
        features, weight = ctx.saved_tensors
        rulebook: Rulebook = ctx.rulebook
        add_rows, longest = _plan_tiles(rulebook)
        to_weight = torch.zeros_like(weight)
        if rulebook.centre is None:
            to_features = torch.zeros_like(features)
        else:
            to_features = torch.mm(to_result, weight[rulebook.centre].T)
            torch.mm(features.T, to_result, out=to_weight[rulebook.centre])
        gathered, products = (features.new_empty(longest, features.shape[1]) for _ in range(2))
        upstream = to_result.new_empty(longest, to_result.shape[1])
        for k, inputs, outputs in _iterate_tiles(rulebook, longest):
            gradient = _gather_rows(to_result, outputs, upstream)
            to_weight[k].addmm_(_gather_rows(features, inputs, gathered).T, gradient)
            if ctx.needs_input_grad[0]:
                add_rows(to_features, inputs, torch.mm(gradient, weight[k].T, out=products[: len(gradient)]))
        return to_features, to_weight, None


def _plan_tiles(rulebook: Rulebook) -> tuple[Any, int]:
    """Find the back end's `add_rows`, and how many pairs the longest tile has."""
    back_end = find_back_end("sparse_conv", rulebook.input)
    longest = max(end - begin for begin, end in pairwise(rulebook.start))
    return back_end.add_rows, max(min(longest, back_end.PAIRS_PER_TILE), 1)


def _iterate_tiles(rulebook: Rulebook, longest: int) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Yield a kernel element, and input rows and output rows of up to `longest` pairs of it.

    The centre of a submanifold kernel is left out.
    """
    for k, (begin, end) in enumerate(pairwise(rulebook.start)):
        if k == rulebook.centre:
            continue
        for first in range(begin, end, longest):
            pairs = slice(first, min(first + longest, end))
            yield k, rulebook.input[pairs], rulebook.output[pairs]


def _gather_rows(values: Tensor, rows: Tensor, room: Tensor) -> Tensor:
    """Copy the chosen rows to the beginning of `room`."""
    return torch.index_select(values, 0, rows, out=room[: len(rows)])
