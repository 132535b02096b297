"""Sparse convolution on a GPU: gather, multiply, add, one kernel element at a time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor

from pcdet_poly.ops.gpu import spconv_convolution
from pcdet_poly.structures.rulebook import Rulebook


def convolve(features: Tensor, weight: Tensor, rulebook: Rulebook) -> Tensor:
    """Convolve features on active cells; sums of half precision are float32.

    Args:
        features: (V, C) of the input's cells.
        weight: (K, C, C'), of the same type.
        rulebook: of the convolution.

    Returns:
        (V', C') of the output's cells, of that type.
    """
    return _sum_products(features, weight, rulebook).to(features.dtype)


def convolve_to_relu(
    features: Tensor, weight: Tensor, rulebook: Rulebook, bias: Tensor, residual: Tensor | None
) -> Tensor:
    """Convolve features on active cells, add, and let zero take the place of negative numbers; rounded once.

    Args:
        features: (V, C) of the input's cells.
        weight: (K, C, C'), of the same type.
        rulebook: of the convolution.
        bias: (C',) to add.
        residual: (V', C') of the features' type, to add.

    Returns:
        (V', C') of the output's cells, of that type.
    """
    total = _sum_products(features, weight, rulebook).add_(bias)
    return (total if residual is None else total.add_(residual)).relu_().to(features.dtype)


def _sum_products(features: Tensor, weight: Tensor, rulebook: Rulebook) -> Tensor:
    """Convolve (V, C) by (K, C, C'): (V', C') float32, or of the features' type where that is wider."""
    weight = weight.contiguous()
    result = torch.zeros(len(rulebook.sites), weight.shape[2], device=features.device, dtype=_widen(features.dtype))
    if rulebook.centre is not None:
        result += torch.mm(features, weight[rulebook.centre])
    for k, inputs, outputs in _iterate_elements(rulebook):
        result.index_add_(0, outputs, torch.mm(features[inputs], weight[k]).to(result.dtype))
    return result


def compute_gradients(
    to_result: Tensor, features: Tensor, weight: Tensor, rulebook: Rulebook, *, with_features: bool
) -> tuple[Tensor | None, Tensor]:
    """Compute the gradients of a convolution.

    Args:
        to_result: (V', C') gradient of the result.
        features: (V, C) of the input's cells.
        weight: (K, C, C').
        rulebook: of the convolution.
        with_features: whether the features' gradient is needed.

    Returns:
        Gradients of the features (V, C), or None, and of the weight (K, C, C'); float32 for half precision.
    """
    wide, weight = _widen(features.dtype), weight.contiguous()
    to_weight = torch.zeros_like(weight)
    to_features = torch.zeros_like(features, dtype=wide) if with_features else None
    if rulebook.centre is not None:
        torch.mm(features.T, to_result, out=to_weight[rulebook.centre])
        if to_features is not None:
            to_features += torch.mm(to_result, weight[rulebook.centre].T)
    for k, inputs, outputs in _iterate_elements(rulebook):
        gradient = to_result[outputs]
        torch.mm(features[inputs].T, gradient, out=to_weight[k])
        if to_features is not None:
            to_features.index_add_(0, inputs, torch.mm(gradient, weight[k].T).to(wide))
    return to_features, to_weight


def convolve_by_spconv(
    features: Tensor, weight: Tensor, rulebook: Rulebook, package: spconv_convolution.Package
) -> Tensor | None:
    """Convolve by a package's kernels; see spconv_convolution.py.

    Args:
        features: (V, C) of the input's cells.
        weight: (C', kz, ky, kx, C).
        rulebook: of the convolution.
        package: "spconv" or "spconv_triton".

    Returns:
        (V', C') of the output's cells.
    """
    return spconv_convolution.convolve_by_spconv(features, weight, rulebook, package)


def _widen(dtype: torch.dtype) -> torch.dtype:
    """Return the type of sums: float32 for what is narrower."""
    return torch.promote_types(dtype, torch.float32)


def _iterate_elements(rulebook: Rulebook) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Yield each kernel element with its input rows and output rows, without the centre of a submanifold's."""
    for k, (begin, end) in enumerate(pairwise(rulebook.start)):
        if k != rulebook.centre and end > begin:
            yield k, rulebook.input[begin:end], rulebook.output[begin:end]
