"""The order in which Waymo's tool takes predictions of equal score.

It sorts with `std::sort`, which is not stable: beyond 16 values, equal ones end up where libstdc++'s introsort
leaves them. Its scheme, followed here: ranges of more than 16 are split around the median of their second,
middle and last value; what remains nearly sorted is finished by insertion. (Its heap sort, for inputs made to
defeat the splitting, is not followed: there, equal scores come in row order.)
"""

from __future__ import annotations

import numpy as np

from pcdet_poly.ops.compiler.kernel import kernel

_SMALL = 16


@kernel
def sort_by_introsort(score: np.ndarray) -> np.ndarray:
    """Return the positions of `score` (N,) by descending score, equal ones as `std::sort` leaves them."""
    order = np.arange(len(score))
    splits = 2 * int(np.log2(max(len(score), 1)))
    ranges = [(0, len(score), splits)]
    while len(ranges) > 0:
        first, last, left = ranges.pop()
        while last - first > _SMALL and left > 0:
            left -= 1
            cut = _partition_range(order, score, first, last)
            ranges.append((cut, last, left))
            last = cut
    for i in range(1, len(order)):
        value, k = order[i], i
        while k > 0 and score[value] > score[order[k - 1]]:
            order[k] = order[k - 1]
            k -= 1
        order[k] = value
    return order


@kernel
def _partition_range(order: np.ndarray, score: np.ndarray, first: int, last: int) -> int:
    """Partition order[first:last] around a median of three, put first; return where the second part starts."""
    median = _pick_median(score, order, first + 1, first + (last - first) // 2, last - 1)
    order[first], order[median] = order[median], order[first]
    pivot = score[order[first]]
    low, high = first + 1, last
    while True:
        while score[order[low]] > pivot:
            low += 1
        high -= 1
        while pivot > score[order[high]]:
            high -= 1
        if low >= high:
            return low
        order[low], order[high] = order[high], order[low]
        low += 1


@kernel
def _pick_median(score: np.ndarray, order: np.ndarray, a: int, b: int, c: int) -> int:
    """Return which of the three positions has the middle value."""
    x, y, z = score[order[a]], score[order[b]], score[order[c]]
    if x > y:
        return b if y > z else c if x > z else a
    return a if x > z else c if y > z else b
