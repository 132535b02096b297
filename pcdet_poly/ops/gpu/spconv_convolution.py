"""Sparse convolution by spconv's kernels (optional package) from our rulebooks and with our weights.

Made for GPUs. On a CPU spconv 2.3.8 adds wrongly with more than one thread and cannot go backward: only
tests and benchmarks call it there, forward, on one thread.
"""

from __future__ import annotations

from torch import Tensor

from pcdet_poly.errors import UserError
from pcdet_poly.structures.rulebook import Rulebook


def convolve_by_spconv(features: Tensor, weight: Tensor, rulebook: Rulebook) -> Tensor:
    """Convolve features on active cells, with gradients on a GPU.

    Args:
        features: (V, C) of the input's cells.
        weight: (C', kz, ky, kx, C).
        rulebook: of the convolution.

    Returns:
        (V', C') of the output's cells.

    Raises:
        UserError: spconv is not installed.
    """
    try:
        from spconv.core import ConvAlgo
        from spconv.pytorch.functional import indice_conv
    except ImportError:
        raise UserError(
            "sparse_backend: spconv is not installed; pip install a wheel for your CUDA (spconv-cu126), or use torch"
        ) from None
    pairs, num_outputs = rulebook.indice_pairs, len(rulebook.sites)
    result: Tensor = indice_conv(features, weight, pairs.rows, pairs.per_element, num_outputs, ConvAlgo.Native)
    return result
