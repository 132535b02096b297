"""Choose an arm and say what it gains, with other seeds and other segments than those that chose it.

The runs are cut into four parts: two halves of the seeds, two halves of the segments. The best arm of each part is
judged on the part that shares neither seeds nor segments with it, so every part is judged once. Choosing and judging
with the same trained networks, if only on other segments, reports gains of half a point and more without any effect.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pcdet_poly.experiments.arm_tests import ArmTable, estimate_contrast
from pcdet_poly.experiments.statistics import Estimate

MIN_CROSSED_SEEDS = 4  # two in each half
MIN_CROSSED_SEGMENTS = 16  # eight in each half, by their weight; fewer do not show how other segments differ

# Two parts that judge each other's choice are not independent. Without this factor on the variance up to 8 % of studies
# in which no arm differs would find a gain; with it 2 to 5 % (`python -m pcdet_poly.experiments.simulate_rules`).
_WIDENING = 1.25


@dataclass(frozen=True)
class CrossFit:
    """The arm that each part chose, and the gain of choosing so."""

    chosen: np.ndarray  # (2, 2, ...) column of the arm that seeds half i and segments half j chose
    chosen_gain: np.ndarray  # (...) mean over parts of the gain where it was chosen: too good by construction
    gain: Estimate  # (...) on the parts that did not choose
    by_seed: np.ndarray  # (S, ...) that gain of each seed


def choose_crosswise(
    points: np.ndarray, baseline: int, resampled: np.ndarray | None = None, num_segments: np.ndarray | float = 0
) -> CrossFit:
    """Choose the best arm on each part, and judge it on the opposite one.

    Args:
        points: (2, S, A, ...) on the first and on the second half of the segments. Seeds are halved by turns.
        baseline: column of the arm that gains are differences from.
        resampled: (R, 2, S, A, ...) the same with the segments drawn anew within each half; None for an interval over
            seeds alone.
        num_segments: effective number in both halves together, twice that of the smaller one.

    Returns:
        The choices and their gain; p is NaN for fewer than MIN_CROSSED_SEEDS seeds.
    """
    seed_half = np.arange(points.shape[1]) % 2
    by_part = np.stack([points[:, seed_half == i].mean(1) for i in (0, 1)])  # (seed half, segment half, A, ...)
    chosen = by_part.argmax(2)
    kept = by_part[:, :, baseline] >= np.take_along_axis(by_part, chosen[:, :, None], 2)[:, :, 0]
    chosen = np.where(kept, baseline, chosen)  # nothing is gained from an arm that only equals the baseline
    gains = np.take_along_axis(by_part, chosen[:, :, None], 2)[:, :, 0] - by_part[:, :, baseline]
    by_seed = _judge_opposite(points, chosen, seed_half, baseline)
    if len(seed_half) < MIN_CROSSED_SEEDS:
        return CrossFit(chosen, gains.mean((0, 1)), Estimate.from_mean(by_seed.mean(0)), by_seed)
    draws = () if resampled is None or np.any(np.asarray(num_segments) < MIN_CROSSED_SEGMENTS) else resampled
    drawn = [_pair_with_zero(_judge_opposite(one, chosen, seed_half, baseline)) for one in draws]
    found = estimate_contrast(
        ArmTable(
            _pair_with_zero(by_seed),
            np.stack(drawn) if drawn else None,
            np.asarray(num_segments) / 2,  # they vary within their half
        ),
        np.array([-1.0, 1.0]),
        pooled=False,
    )
    gain = Estimate.from_variance(found.mean, _WIDENING * found.variance, found.freedom)
    return CrossFit(chosen, gains.mean((0, 1)), gain, by_seed)


def _pair_with_zero(gain: np.ndarray) -> np.ndarray:
    """A gain (S, ...) as a table (S, 2, ...) of the baseline, which gains nothing, and the choice."""
    return np.stack([np.zeros_like(gain), gain], 1)


def _judge_opposite(points: np.ndarray, chosen: np.ndarray, seed_half: np.ndarray, baseline: int) -> np.ndarray:
    """The gain (S, ...) of each seed, averaged over halves of segments, with what the opposite part chose."""
    gains = []
    for segment_half in (0, 1):
        wanted = chosen[1 - seed_half, 1 - segment_half]  # (S, ...)
        gains.append(
            np.take_along_axis(points[segment_half], wanted[:, None], 1)[:, 0] - points[segment_half][:, baseline]
        )
    mean: np.ndarray = np.mean(gains, axis=0)
    return mean
