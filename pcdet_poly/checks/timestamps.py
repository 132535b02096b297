"""Timestamps in any unit -> whole microseconds, without ever cutting a fraction off."""

from __future__ import annotations

import math
from typing import Literal, get_args

import numpy as np

from pcdet_poly.errors import UserError

TimestampUnit = Literal["s", "ms", "us", "ns"]
TIMESTAMP_UNITS: tuple[TimestampUnit, ...] = get_args(TimestampUnit)

_PER_SECOND: dict[TimestampUnit, int] = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_US = 10**6
_ERA_S = (946_684_800, 4_102_444_800)  # 2000 to 2100, Unix time
_MAX_SECONDS_FROM_START = 1e6  # of a drive whose clock starts with it
_COARSEST_S = 1e-3  # steps in which a float may keep time, so that frames stay apart
_ASK = "say which it is: --timestamp-unit s, ms, us or ns"


def convert_to_us(value: np.ndarray | float | int, unit: TimestampUnit | None = None) -> int:
    """Convert a timestamp to whole microseconds.

    Args:
        value: a number, or an array of shape ().
        unit: of `value`. None recognises Unix times of 2000 to 2100 by their magnitude; of other numbers, which count
            from some start, whole ones (int) are microseconds and fractions (float) are seconds.

    Raises:
        UserError: where the number is not finite or negative, its type is too coarse to tell frames apart, or its unit
            cannot be told.
    """
    array = np.asarray(value)
    if array.dtype.kind not in "iuf" or array.shape != ():
        raise UserError(f"timestamp is {array.dtype} {array.shape}; one number needed")
    number = array.item()
    if not math.isfinite(number) or number < 0:
        raise UserError(f"timestamp {number}: a finite number, at least 0, needed")
    unit = unit or tell_unit(number)
    if isinstance(number, int):
        return round_to_us(number, unit)
    step_s = float(np.spacing(array)) / _PER_SECOND[unit]
    if step_s > _COARSEST_S:
        raise UserError(
            f"timestamp {number}: {array.dtype} keeps such times in steps of {step_s:.3g} s only, so that frames share "
            "one; store it as float64 or int64"
        )
    return round(number * (_US / _PER_SECOND[unit]))


def tell_unit(number: int | float) -> TimestampUnit:
    """Tell the unit of a timestamp by its magnitude; raise `UserError` where that is open."""
    for unit in TIMESTAMP_UNITS:
        low, high = (bound * _PER_SECOND[unit] for bound in _ERA_S)
        if low <= number < high:
            return unit
    if isinstance(number, int):
        return "us"
    if number <= _MAX_SECONDS_FROM_START:
        return "s"
    raise UserError(f"timestamp {number}: neither seconds from a start nor a Unix time; {_ASK}")


def round_to_us(number: int, unit: TimestampUnit) -> int:
    """Convert a whole number of `unit` to microseconds, to the nearest one."""
    per_second = _PER_SECOND[unit]
    return number * (_US // per_second) if per_second <= _US else (number + 500) // (per_second // _US)
