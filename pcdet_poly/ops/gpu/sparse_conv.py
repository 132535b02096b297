"""What a sparse convolution needs of a GPU."""

from __future__ import annotations

import sys

from torch import Tensor

from pcdet_poly.ops.gpu import spconv_convolution
from pcdet_poly.structures.rulebook import Rulebook

PAIRS_PER_TILE = sys.maxsize  # all of a kernel element


def add_rows(total: Tensor, rows: Tensor, values: Tensor) -> None:
    """Add rows of values to chosen rows, none of which is chosen twice.

    Args:
        total: (V, C), changed in place.
        rows: (M,) int32.
        values: (M, C).
    """
    total.index_add_(0, rows, values)


def convolve_by_spconv(features: Tensor, weight: Tensor, rulebook: Rulebook) -> Tensor | None:
    """Convolve by spconv's kernels; see spconv_convolution.py.

    Args:
        features: (V, C) of the input's cells.
        weight: (C', kz, ky, kx, C).
        rulebook: of the convolution.

    Returns:
        (V', C') of the output's cells.
    """
    return spconv_convolution.convolve_by_spconv(features, weight, rulebook)
