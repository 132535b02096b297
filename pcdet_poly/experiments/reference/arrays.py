"""The arrays of a reference file by name, and records made of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pcdet_poly.structures import Grid

Arrays = Mapping[str, np.ndarray]


def select_arrays(arrays: Arrays, prefix: str) -> dict[str, np.ndarray]:
    """Return the arrays whose names begin with `prefix`, by the rest of their names. Raises KeyError for none."""
    selected = {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}
    if not selected:
        raise KeyError(f"{prefix}*")
    return selected


def read_grid(arrays: Arrays) -> Grid:
    """Return the grid of `grid.lower`, `grid.upper` and `grid.cell`, metres.

    They are float32 in files; a grid has the decimal number that each is the nearest float32 of.
    """
    lower, upper, cell = (
        tuple(float(str(number)) for number in arrays[f"grid.{name}"].astype(np.float32))
        for name in ("lower", "upper", "cell")
    )
    return Grid(lower, upper, cell)  # type: ignore[arg-type]
