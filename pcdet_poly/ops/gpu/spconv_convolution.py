"""Sparse convolution by the kernels of spconv or spconv-triton (optional packages), from our rulebooks and weights.

Made for GPUs. On a CPU spconv 2.3.8 adds wrongly with more than one thread and cannot go backward: only
tests and benchmarks call it there, forward, on one thread. spconv-triton has one source for GPUs of any maker, goes
through Triton's interpreter in our tests, and knows bfloat16, which spconv does not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

from pcdet_poly.errors import UserError
from pcdet_poly.structures.rulebook import Rulebook

Package = Literal["spconv", "spconv_triton"]


def convolve_by_spconv(features: Tensor, weight: Tensor, rulebook: Rulebook, package: Package = "spconv") -> Tensor:
    """Convolve features on active cells, with gradients on a GPU.

    Args:
        features: (V, C) of the input's cells.
        weight: (C', kz, ky, kx, C).
        rulebook: of the convolution.
        package: whose kernels. Inside autocast spconv rounds to float16; spconv-triton takes both as they are, of one
            type.

    Returns:
        (V', C') of the output's cells.

    Raises:
        UserError: the package is not installed.
    """
    pairs, num_outputs = rulebook.indice_pairs, len(rulebook.sites)
    if package == "spconv":
        convolve, algorithm = _import_spconv()
        result: Tensor = convolve(features, weight, pairs.rows, pairs.per_element, num_outputs, algorithm)
        return result
    convolve, algorithm = _import_spconv_triton()
    with torch.autocast("cuda", enabled=False):  # inside, it would round to float16
        result = convolve(features, weight, pairs.rows, pairs.per_element, num_outputs, algorithm)
    return result


def _import_spconv() -> tuple[Callable[..., Any], Any]:
    try:
        from spconv.core import ConvAlgo
        from spconv.pytorch.functional import indice_conv
    except ImportError:
        raise UserError(
            "sparse_backend: spconv is not installed; pip install a wheel for your CUDA (spconv-cu126), or use torch"
        ) from None
    return indice_conv, ConvAlgo.Native


def _import_spconv_triton() -> tuple[Callable[..., Any], Any]:
    try:
        from spconv_triton.core import ConvAlgo
        from spconv_triton.pytorch.functional import indice_conv
    except ImportError:
        raise UserError(
            "sparse_backend: spconv-triton is not installed; pip install spconv-triton, or use torch"
        ) from None
    return indice_conv, ConvAlgo.Native
