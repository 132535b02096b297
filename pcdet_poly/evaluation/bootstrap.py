"""How sure an AP is: resampling whole segments, whose frames are alike and must stay together.

A resampling draws as many segments as there are, with replacement, and computes the AP of the union. The
interval is between the 2.5th and the 97.5th percentile of many. Counts are kept per segment, so a resampling
is a weighted sum of counts, not a new evaluation.

For two detectors evaluated on the same segments the *difference* is resampled, with the same draw for both:
what makes a segment hard for one makes it hard for the other, and cancels.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pcdet_poly.errors import UserError
from pcdet_poly.evaluation.ap_table import ApTable, Interval, compute_values, name_values
from pcdet_poly.evaluation.evaluator import Evaluator

_PERCENTILES = (2.5, 97.5)
_CHUNK_RESAMPLES = 16  # resamplings whose counts are in memory together


def bootstrap(evaluator: Evaluator, *, resamples: int = 1000, seed: int = 0) -> ApTable:
    """Compute the evaluator's table with 95 % intervals.

    Args:
        evaluator: evaluated on at least two segments.
        resamples: number of resamplings.
        seed: of the draws; the same seed gives the same intervals.

    Returns:
        The evaluator's table, with `intervals`.

    Raises:
        UserError: the evaluator has fewer than two segments.
    """
    draws = draw_segments(len(_list_segments(evaluator)), resamples, seed)
    limits = np.percentile(resample_metrics(evaluator, draws), _PERCENTILES, axis=0)
    table = evaluator.compute()
    meta = replace(table.meta, resamples=resamples, segments=draws.shape[1])
    return replace(table, intervals=_name_limits(limits, evaluator), meta=meta)


def paired_bootstrap(first: Evaluator, second: Evaluator, *, resamples: int = 1000, seed: int = 0) -> ApTable:
    """Compute `first` minus `second` with 95 % intervals of the difference.

    An interval that excludes 0 says that the difference is larger than the choice of segments explains.

    Args:
        first: evaluated on at least two segments.
        second: evaluated on the same segments with the same settings.
        resamples: number of resamplings; each draws the same segments for both.
        seed: of the draws; the same seed gives the same intervals.

    Returns:
        The table of differences, with `intervals`.

    Raises:
        UserError: the evaluators differ in segments or settings, or have fewer than two segments.
    """
    segments = _list_segments(first)
    if segments != _list_segments(second) or first.counter.cfg != second.counter.cfg:
        raise UserError("paired bootstrap: the detectors need the same segments and settings; evaluate both on one set")
    draws = draw_segments(len(segments), resamples, seed)
    differences = resample_metrics(first, draws) - resample_metrics(second, draws)
    limits = np.percentile(differences, _PERCENTILES, axis=0)
    table = first.compute().subtract(second.compute())
    meta = replace(table.meta, resamples=resamples, segments=len(segments))
    return replace(table, intervals=_name_limits(limits, first), meta=meta)


def _list_segments(evaluator: Evaluator) -> list[str]:
    segments = sorted(evaluator.increments)
    if len(segments) < 2:
        raise UserError(f"bootstrap: {len(segments)} segment(s) seen; name the frames' segments, at least two")
    return segments


def draw_segments(num: int, resamples: int, seed: int) -> np.ndarray:
    """Draw `num` segments out of `num`, with replacement.

    Args:
        num: number of segments.
        resamples: number of draws.
        seed: of the random numbers.

    Returns:
        (resamples, num) float64, how often each segment is drawn.
    """
    return np.random.default_rng(seed).multinomial(num, np.full(num, 1 / num), size=resamples).astype(np.float64)


def resample_metrics(evaluator: Evaluator, draws: np.ndarray) -> np.ndarray:
    """Compute AP, APH and APL of each draw of segments, (resamples, parts, shards, levels, 3) float32.

    `draws` (resamples, segments) says how often each segment counts, segments in the order of their names; a row
    of ones gives the evaluator's own table.
    """
    increments = np.stack([evaluator.increments[segment] for segment in sorted(evaluator.increments)])
    # float64 for the fast matrix product: counts stay exact, summed headings lose less than 1e-15.
    flat = increments.reshape(len(increments), -1).astype(np.float64)
    values = []
    for start in range(0, len(draws), _CHUNK_RESAMPLES):
        total = (draws[start : start + _CHUNK_RESAMPLES] @ flat).round().astype(np.int64)
        counts = evaluator.accumulate(total.reshape(-1, *increments.shape[1:]))
        values += [compute_values(of_draw, evaluator.counter) for of_draw in counts]
    return np.stack(values)


def _name_limits(limits: np.ndarray, evaluator: Evaluator) -> dict[str, dict[str, dict[str, Interval]]]:
    """Put limits (2, parts, shards, levels, 3) as (low, high) under their official names."""
    pairs = name_values(np.moveaxis(limits, 0, -1), evaluator.counter)
    return {
        part: {name: {metric: (pair[0], pair[1]) for metric, pair in row.items()} for name, row in rows.items()}
        for part, rows in pairs.items()
    }
