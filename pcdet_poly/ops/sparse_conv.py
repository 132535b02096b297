"""Convolution of features on active cells, by its rulebook."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from pcdet_poly.ops.dispatch import check_shape, find_autocast_dtype, find_back_end
from pcdet_poly.structures import SparseTensor
from pcdet_poly.structures.rulebook import Rulebook

Backend = Literal["torch", "spconv", "spconv_triton"]


def sparse_conv(features: Tensor, weight: Tensor, rulebook: Rulebook, *, backend: Backend = "torch") -> SparseTensor:
    """Convolve features on active cells, without bias.

    Equal to torch's conv3d of the dense tensor that is zero elsewhere, at the rulebook's output cells.
    Differentiable once; the order of all sums is fixed. Inside autocast features and weight are rounded to its type, as
    torch's convolutions round theirs, and so is the result.

    Args:
        features: (V, C) of the rulebook's input cells.
        weight: (C', kz, ky, kx, C), as spconv stores it.
        rulebook: of the convolution.
        backend: "spconv" and "spconv_triton" run those packages' kernels on a GPU; on a CPU, where spconv's are wrong
            and the other has none, ours run all the same.

    Returns:
        (V', C') on the output cells.

    Raises:
        UserError: a package is asked for and not installed.
        ValueError: features and weight do not fit each other or the rulebook.
    """
    _check_arguments("sparse_conv", features, weight, rulebook, backend)
    if (theirs := _convolve_by_package(features, weight, rulebook, backend)) is not None:
        return SparseTensor(theirs, rulebook.sites)
    result: Tensor = _SparseConv.apply(*_round(features, weight), rulebook)  # type: ignore[no-untyped-call]
    return SparseTensor(result, rulebook.sites)


def sparse_conv_relu(
    features: Tensor,
    weight: Tensor,
    rulebook: Rulebook,
    *,
    bias: Tensor,
    residual: Tensor | None = None,
    backend: Backend = "torch",
) -> SparseTensor:
    """Convolve features on active cells, add, and let zero take the place of negative numbers, in one pass.

    For inference: without gradients. Equal to `sparse_conv` with sum and ReLU after it, but for fewer roundings.

    Args:
        features: (V, C) of the rulebook's input cells.
        weight: (C', kz, ky, kx, C), as spconv stores it.
        rulebook: of the convolution.
        bias: (C',) to add.
        residual: (V', C') of the output cells, to add.
        backend: as in `sparse_conv`.

    Returns:
        (V', C') on the output cells, none negative.

    Raises:
        UserError: a package is asked for and not installed.
        ValueError: the tensors do not fit each other or the rulebook.
    """
    _check_arguments("sparse_conv_relu", features, weight, rulebook, backend)
    check_shape("sparse_conv_relu", "bias", bias, f"{len(weight)}")
    if residual is not None:
        check_shape("sparse_conv_relu", "residual", residual, f"{len(rulebook.sites)} {len(weight)}")
    with torch.no_grad():
        if (theirs := _convolve_by_package(features, weight, rulebook, backend)) is not None:
            total = theirs + bias if residual is None else theirs + bias + residual
            return SparseTensor(total.relu_().to(theirs.dtype), rulebook.sites)
        features, by_element = _round(features, weight)
        residual = None if residual is None else residual.contiguous().to(features.dtype)
        compute = find_back_end("sparse_conv", features).convolve_to_relu
        return SparseTensor(compute(features, by_element, rulebook, bias, residual), rulebook.sites)


def _check_arguments(operation: str, features: Tensor, weight: Tensor, rulebook: Rulebook, backend: str) -> None:
    if backend not in ("torch", "spconv", "spconv_triton"):
        raise ValueError(f"{operation}: backend {backend!r}; give torch, spconv or spconv_triton")
    check_shape(operation, "weight", weight, " ".join(["C'", *map(str, rulebook.kernel), "C"]))
    check_shape(operation, "features", features, f"V {weight.shape[4]}")
    if len(features) != rulebook.num_inputs:
        raise ValueError(f"{operation}: {len(features)} rows of features for {rulebook.num_inputs} cells")


def _convolve_by_package(features: Tensor, weight: Tensor, rulebook: Rulebook, backend: Backend) -> Tensor | None:
    """Convolve by a package if one is asked for and computes here, else return None."""
    if backend == "torch" or not len(rulebook.input):
        return None
    dtype = find_autocast_dtype(features)
    given = (features, weight) if backend == "spconv" else (features.to(dtype), weight.to(dtype))
    theirs: Tensor | None = find_back_end("sparse_conv", features).convolve_by_spconv(*given, rulebook, backend)
    return theirs


def _round(features: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Round to the type that is computed in, and view the weight (C', kz, ky, kx, C) by element: (K, C, C')."""
    dtype = find_autocast_dtype(features)
    return features.contiguous().to(dtype), weight.to(dtype).flatten(1, 3).permute(1, 2, 0)


def sparse_to_bev(tensor: SparseTensor, *, channels_last: bool = False) -> Tensor:
    """Features (V, C) -> bird's-eye image (B, C * nz, ny, nx), channel c * nz + z, zero where no cell is active."""
    nz, ny, nx = tensor.sites.shape
    features, num_channels = tensor.features, tensor.features.shape[1]
    num_frames = tensor.sites.num_frames
    frame, z, y, x = tensor.sites.coordinates().T
    row = ((frame * ny + y) * nx + x) * nz + z
    image = features.new_zeros(num_frames * ny * nx * nz, num_channels).index_copy_(0, row, features)
    image = image.view(num_frames, ny, nx, nz, num_channels).transpose(3, 4).flatten(3).permute(0, 3, 1, 2)
    return image if channels_last else image.contiguous()


class _SparseConv(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor, rulebook: Rulebook) -> Tensor:
        ctx.save_for_backward(features, weight)
        ctx.rulebook = rulebook
        result: Tensor = find_back_end("sparse_conv", features).convolve(features, weight, rulebook)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, to_result: Tensor) -> tuple[Tensor | None, Tensor, None]:
        features, weight = ctx.saved_tensors
        to_features, to_weight = find_back_end("sparse_conv", features).compute_gradients(
            to_result.contiguous(), features, weight, ctx.rulebook, with_features=ctx.needs_input_grad[0]
        )
        return to_features, to_weight, None
