"""How many cells fit into a box of space."""

from __future__ import annotations

from collections.abc import Sequence


def count_cells(lower: Sequence[float], upper: Sequence[float], cell: Sequence[float]) -> tuple[int, int, int]:
    """Count the cells of a grid along x, y, z, rounded to whole ones.

    Args:
        lower: smallest x, y, z, metres.
        upper: largest x, y, z, metres.
        cell: edge lengths of a cell along x, y, z, metres.
    """
    num_x, num_y, num_z = (round((high - low) / edge) for low, high, edge in zip(lower, upper, cell, strict=True))
    return num_x, num_y, num_z
