"""One output of our code beside the reference's: how far apart they are, and whether that holds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor


@dataclass(frozen=True)
class Output:
    """The difference between one output of ours and the reference's."""

    name: str
    error: float  # largest absolute difference; infinite where shapes differ or only one of two numbers is one
    maximum: float  # largest absolute value of the reference
    allowed: float  # largest error that holds

    @property
    def holds(self) -> bool:
        """Whether our output is the reference's, up to what is allowed."""
        return self.error <= self.allowed


def compare(name: str, ours: Any, theirs: np.ndarray, *, relative: float = 0.0, absolute: float = 0.0) -> Output:
    """Compare two arrays number by number.

    Args:
        name: of the output, as it is to be printed.
        ours: array or tensor.
        theirs: array of the same shape.
        relative: largest error that holds, in units of the largest absolute value of `theirs`.
        absolute: largest error that holds, added to that. With neither, only equal numbers hold.
    """
    return _measure(name, to_array(ours), theirs, None, relative, absolute)


def compare_array(
    arrays: Mapping[str, np.ndarray], name: str, ours: Any, *, relative: float = 0.0, absolute: float = 0.0
) -> Output:
    """Compare an array of ours with the one that a file has under the output's name.

    Args:
        arrays: of the file.
        name: of the output.
        ours: array or tensor.
        relative: as in `compare`.
        absolute: as in `compare`.
    """
    return compare(name, ours, arrays[name], relative=relative, absolute=absolute)


def compare_angles(name: str, ours: Any, theirs: np.ndarray, *, absolute: float) -> Output:
    """Compare two arrays of angles in radians, of which those that differ by whole turns are equal.

    Args:
        name: of the output, as it is to be printed.
        ours: array or tensor.
        theirs: array of the same shape.
        absolute: largest error that holds, radians.
    """
    return _measure(name, to_array(ours), theirs, 2 * math.pi, 0.0, absolute)


def compare_rows(
    name: str, ours: Any, theirs: np.ndarray, *, relative: float = 0.0, absolute: float = 0.0, angle: int | None = None
) -> list[Output]:
    """Compare two lists of rows one for one: their number, then every column but `angle`, then `angle`.

    Args:
        name: of the output, as it is to be printed.
        ours: (N, C) array or tensor.
        theirs: (M, C) array.
        relative: largest error that holds, in units of the largest absolute value of `theirs`.
        absolute: largest error that holds, added to that.
        angle: column of angles in radians, of which those that differ by whole turns are equal.

    Returns:
        One output for the number of rows; where that is equal, one for the columns and one for the angles, if any.
    """
    ours = to_array(ours)
    count = compare(f"{name}, number of rows", np.array(len(ours)), np.array(len(theirs)))
    if not count.holds or angle is None:
        rest = [compare(name, ours, theirs, relative=relative, absolute=absolute)] if count.holds else []
        return [count, *rest]
    allowed = relative * _find_maximum(theirs) + absolute
    plain = [np.delete(each, angle, axis=1) for each in (ours, theirs)]
    return [
        count,
        compare(name, *plain, absolute=allowed),
        compare_angles(f"{name}, angles", ours[:, angle], theirs[:, angle], absolute=allowed),
    ]


def to_array(value: Any) -> np.ndarray:
    """Return `value`, an array, a tensor or a number, as an array."""
    return value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)


def _measure(
    name: str, ours: np.ndarray, theirs: np.ndarray, turn: float | None, relative: float, absolute: float
) -> Output:
    maximum = _find_maximum(theirs)
    allowed = relative * maximum + absolute
    if ours.shape != theirs.shape:
        return Output(f"{name}: {ours.shape} here, {theirs.shape} there", math.inf, maximum, allowed)
    mine, other = ours.astype(np.float64), theirs.astype(np.float64)
    with np.errstate(invalid="ignore"):
        difference = np.abs(mine - other)
    if turn is not None:
        difference = np.abs(difference - turn * np.round(difference / turn))
    equal = (mine == other) | (np.isnan(mine) & np.isnan(other))
    difference = np.where(equal, 0, np.nan_to_num(difference, nan=math.inf))
    return Output(name, float(difference.max(initial=0)), maximum, allowed)


def _find_maximum(array: np.ndarray) -> float:
    """Largest absolute value; NaN counts as none."""
    return float(np.nan_to_num(np.abs(array.astype(np.float64))).max(initial=0))
