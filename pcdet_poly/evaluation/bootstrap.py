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
from pcdet_poly.evaluation.evaluator import Evaluator
from pcdet_poly.evaluation.table import ApTable, named, values_of

_PERCENTILES = (2.5, 97.5)
_AT_ONCE = 16  # resamplings whose counts are in memory together


def bootstrap(evaluator: Evaluator, *, resamples: int = 1000, seed: int = 0) -> ApTable:
    """The evaluator's table with 95 % intervals. It must have seen at least two segments."""
    draws = draw_segments(len(_segments(evaluator)), resamples, seed)
    limits = np.percentile(resampled(evaluator, draws), _PERCENTILES, axis=0)
    table = evaluator.result()
    meta = dict(table.meta) | {"resamples": resamples, "segments": draws.shape[1]}
    return replace(table, intervals=_named_limits(limits, evaluator), meta=meta)


def paired_bootstrap(first: Evaluator, second: Evaluator, *, resamples: int = 1000, seed: int = 0) -> ApTable:
    """`first` minus `second`, with 95 % intervals of the difference; both must have seen the same segments.

    An interval that excludes 0 says that the difference is larger than the choice of segments explains.
    """
    segments = _segments(first)
    if segments != _segments(second) or first.plan.cfg != second.plan.cfg:
        raise UserError("paired bootstrap: the detectors need the same segments and settings; evaluate both on one set")
    draws = draw_segments(len(segments), resamples, seed)
    differences = resampled(first, draws) - resampled(second, draws)
    limits = np.percentile(differences, _PERCENTILES, axis=0)
    table = first.result().difference(second.result())
    meta = dict(table.meta) | {"resamples": resamples, "segments": len(segments)}
    return replace(table, intervals=_named_limits(limits, first), meta=meta)


def _segments(evaluator: Evaluator) -> list[str]:
    segments = sorted(evaluator.steps)
    if len(segments) < 2:
        raise UserError(f"bootstrap: {len(segments)} segment(s) seen; name the frames' segments, at least two")
    return segments


def draw_segments(num: int, resamples: int, seed: int) -> np.ndarray:
    """(resamples, num) how often each of `num` segments is drawn."""
    return np.random.default_rng(seed).multinomial(num, np.full(num, 1 / num), size=resamples).astype(np.float64)


def resampled(evaluator: Evaluator, draws: np.ndarray) -> np.ndarray:
    """(resamples, parts, shards, levels, 3) float32 AP, APH, APL of each draw (resamples, segments).

    A draw says how often each segment, by name, counts; ones give the evaluator's own table.
    """
    steps = np.stack([evaluator.steps[segment] for segment in sorted(evaluator.steps)])
    # float64 for the fast matrix product: counts stay exact, summed headings lose less than 1e-15.
    flat = steps.reshape(len(steps), -1).astype(np.float64)
    values = []
    for start in range(0, len(draws), _AT_ONCE):
        total = (draws[start : start + _AT_ONCE] @ flat).round().astype(np.int64)
        counts = evaluator.counts_of(total.reshape(-1, *steps.shape[1:]))
        values += [values_of(of_draw, evaluator.plan) for of_draw in counts]
    return np.stack(values)


def _named_limits(limits: np.ndarray, evaluator: Evaluator) -> dict[str, dict[str, dict[str, tuple[float, float]]]]:
    """(2, parts, shards, levels, 3) -> (low, high) under official names."""
    pairs = named(np.moveaxis(limits, 0, -1), evaluator.plan)
    return {
        part: {name: {metric: (pair[0], pair[1]) for metric, pair in row.items()} for name, row in rows.items()}
        for part, rows in pairs.items()
    }
