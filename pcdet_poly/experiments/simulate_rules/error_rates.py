"""How often the report's rules err: simulated studies whose truth is known.

`python -m pcdet_poly.experiments.simulate_rules` prints a table of error rates for studies of 3 to 40 seeds and 4 to 40
segments, with normal or heavy tails, segments of equal or very unequal size, and arms that all spread alike or not.
A study is made of the parts that its variance has: the seed's luck, the segment's, and what is neither, and its metric
is a ratio of sums over segments, as a recall is. Each row is about one kind of study, each column about one rule.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from pcdet_poly.evaluation import draw_segments
from pcdet_poly.experiments.arm_tests import (
    MIN_SEGMENTS,
    ArmTable,
    MeanAndError,
    count_effective_segments,
    estimate_contrast,
    estimate_planned_contrast,
    find_unlike_spreads,
    test_equality,
)
from pcdet_poly.experiments.cross_fit import MIN_CROSSED_SEEDS, MIN_CROSSED_SEGMENTS, choose_crosswise
from pcdet_poly.experiments.detectable import find_detectable_contrast
from pcdet_poly.experiments.many_arms import find_dunnett_limit
from pcdet_poly.experiments.statistics import LEVEL

NUM_ARMS = 6
_EPSILONS = np.array([-1.0, -0.4, 0.0, 1.0, 2.0])
TREND = np.append(_EPSILONS - _EPSILONS.mean(), 0.0)  # over the first five arms
CONTRAST = np.array([-1.0, 0.0, 0.0, 0.0, 0.0, 1.0])  # the last arm, which may spread more, against the first
_RESAMPLES = 100
_CHUNK_STUDIES = 200
# Standard deviations of an arm's number: over seeds, over segments, and of what is neither. The first has the
# proportions of docs/studies/poly_epsilon, in the second segments dominate, in the third seeds do.
SPREADS = {"as measured": (1.06, 0.48, 2.37), "segments": (0.3, 3.0, 1.0), "seeds": (1.0, 0.2, 1.0)}


@dataclass(frozen=True)
class StudyKind:
    """What a simulated study is like."""

    num_seeds: int
    num_segments: int
    spread: str = "as measured"  # a key of SPREADS
    tails: str = "normal"  # or "t3": Student's t with 3 degrees of freedom
    sizes: str = "equal"  # of segments: "equal" (Poisson, mean 30 objects), or "unequal" (log-normal, sigma 1)
    arms: str = "alike"  # or "unlike": the last arm spreads twice as much as the others


@dataclass(frozen=True)
class ErrorRates:
    """Shares of studies, in which no arm differs, that each rule judged wrongly; and power at the detectable effect."""

    coverage: float  # of a contrast's 95 % interval
    contrast: float
    trend: float
    equality: float
    dunnett: float  # any arm called different
    power: float  # of a contrast, where the truth is the smallest detectable effect
    choice: float  # a gain or a loss of the cross-fitted choice; NaN where there are too few seeds or segments for it
    speaks_of_segments: float  # share of studies with enough segments to speak of others


@dataclass(frozen=True)
class _Studies:
    """Studies in which all arms are equal, on all segments there are."""

    table: ArmTable  # (S, A, N)
    on_these: np.ndarray  # (A, N) the true numbers on the segments that were drawn
    error: np.ndarray  # (N,) the true standard error of CONTRAST
    finds_gain: np.ndarray  # (N,) whether the cross-fitted choice finds a gain or a loss


def measure_rates(kind: StudyKind, *, num_studies: int, seed: int = 0) -> ErrorRates:
    """Simulate studies of one kind, and judge each by every rule.

    Where a study has too few segments to speak of others, its truth is that of the segments at hand.

    Args:
        kind: what they are like.
        num_studies: how many; a share of 5 % is then known to sqrt(0.0475 / num_studies).
        seed: of the random numbers.

    Returns:
        The shares.
    """
    sizes = [min(_CHUNK_STUDIES, num_studies - start) for start in range(0, num_studies, _CHUNK_STUDIES)]
    rows = [_judge_studies(_make_studies(kind, num, seed + i)) for i, num in enumerate(sizes)]
    table = np.concatenate(rows)
    known = np.maximum((~np.isnan(table)).sum(0), 1)
    return ErrorRates(*np.where(np.isnan(table).all(0), np.nan, np.nansum(table, 0) / known).tolist())


def _make_studies(kind: StudyKind, num: int, seed: int) -> _Studies:
    rng = np.random.default_rng(seed)
    by_seed, by_segment, by_both = SPREADS[kind.spread]
    shape = (kind.num_seeds, kind.num_segments, NUM_ARMS, num)
    scale = np.ones(NUM_ARMS)
    scale[-1] = 2.0 if kind.arms == "unlike" else 1.0

    def draw(*size: int) -> np.ndarray:
        drawn = rng.standard_normal(size) if kind.tails == "normal" else rng.standard_t(3, size) / np.sqrt(3)
        return drawn * scale[:, None]

    of_segments = by_segment * draw(1, *shape[1:])
    values = of_segments + by_both * draw(*shape) + by_seed * draw(shape[0], 1, *shape[2:])
    if kind.sizes == "equal":
        objects = rng.poisson(30, (kind.num_segments, num)) + 1.0
    else:
        objects = np.exp(rng.standard_normal((kind.num_segments, num)))
    draws = np.concatenate([np.ones((1, kind.num_segments)), draw_segments(kind.num_segments, _RESAMPLES, seed)])
    share = objects / objects.sum(0)
    squares = (share**2).sum(0)
    variance = (by_seed**2 + by_both**2 * squares) / kind.num_seeds + by_segment**2 * squares
    error = np.sqrt(variance * (CONTRAST**2 * scale**2).sum())
    on_these = np.einsum("gan,gn->an", of_segments[0], share)
    return _Studies(_sum_segments(values, objects, draws), on_these, error, _choose_crosswise(values, objects, seed))


def _sum_segments(values: np.ndarray, objects: np.ndarray, draws: np.ndarray) -> ArmTable:
    """Sum values (S, G, A, N), weighted by objects (G, N), over each of the draws (1 + R, G)."""
    flat = (values * objects[:, None]).transpose(1, 0, 2, 3).reshape(values.shape[1], -1)
    sums = (draws @ flat).reshape(len(draws), values.shape[0], *values.shape[2:])  # (1 + R, S, A, N)
    ratios = sums / (draws @ objects)[:, None, None]
    return ArmTable(ratios[0], ratios[1:], count_effective_segments(objects))


def _choose_crosswise(values: np.ndarray, objects: np.ndarray, seed: int) -> np.ndarray:
    num_seeds, num_segments, _, num = values.shape
    if num_seeds < MIN_CROSSED_SEEDS or num_segments < MIN_CROSSED_SEGMENTS:
        return np.full(num, np.nan)
    halves, counts = [], []
    for half in (0, 1):
        drawn = draw_segments(num_segments // 2, _RESAMPLES, seed + half)
        draws = np.concatenate([np.ones((1, num_segments // 2)), drawn])
        table = _sum_segments(values[:, half::2], objects[half::2], draws)
        assert table.resampled is not None
        halves.append(np.concatenate([table.points[None], table.resampled]))
        counts.append(np.asarray(table.num_segments))
    both, count = np.stack(halves, 1), 2 * np.min(counts, axis=0)  # (1 + R, 2, S, A, N), (N,)
    finds, enough = np.full(num, np.nan), count >= MIN_CROSSED_SEGMENTS
    if enough.any():
        kept = both[..., enough]
        finds[enough] = choose_crosswise(kept[0], 0, kept[1:], count[enough]).gain.p <= LEVEL
    return finds


def _judge_studies(studies: _Studies) -> np.ndarray:
    """Judge every study, (N, 8): a column for each field of ErrorRates."""
    table = studies.table
    assert table.resampled is not None
    many = np.asarray(table.num_segments) >= MIN_SEGMENTS
    rows = np.zeros((len(many), 8))
    if many.any():
        kept = ArmTable(table.points[..., many], table.resampled[..., many], np.asarray(table.num_segments)[many])
        rows[many] = _judge_table(kept, studies.error[many], 1.0)
    if not many.all():
        kept = ArmTable(table.points[..., ~many] - studies.on_these[:, ~many])
        rows[~many] = _judge_table(kept, np.full((~many).sum(), np.nan), 0.0)
    rows[:, -2] = studies.finds_gain
    return rows


def _judge_table(table: ArmTable, error: np.ndarray, speaks: float) -> np.ndarray:
    found = estimate_planned_contrast(table, CONTRAST)
    factor = find_detectable_contrast(table.num_seeds, table.num_arms, tuple(CONTRAST.tolist()))
    effect = factor * error * np.sqrt(table.num_seeds / (CONTRAST**2).sum())
    e = found.estimate
    shifted = MeanAndError(found.mean + effect, found.variance, found.freedom).estimate
    columns = (
        (e.low <= 0) & (e.high >= 0),
        e.p <= LEVEL,
        estimate_contrast(table, TREND, pooled=False).estimate.p <= LEVEL,
        test_equality(table).p <= LEVEL,
        _find_any_different(table),
        np.where(np.isnan(error), np.nan, shifted.p <= LEVEL),
        np.full(len(error), np.nan),  # of the choice, which is not one table's
        np.full(len(error), speaks),
    )
    return np.stack([np.asarray(column, float) for column in columns], 1)


def _find_any_different(table: ArmTable) -> np.ndarray:
    """Whether `compare_with_baseline` calls any arm different, (N,); limits are read off a grid of freedoms."""
    num = table.num_arms - 1
    grid = np.array([2, 3, 4, 6, 8, 11, 15, 20, 30, 50, 100, 1000.0])
    limits = [find_dunnett_limit(num, float(freedom)) for freedom in grid]
    unlike, different = find_unlike_spreads(table.points), np.zeros(table.points.shape[2], bool)
    for arm in range(1, table.num_arms):
        weights = np.zeros(table.num_arms)
        weights[[0, arm]] = -1, 1
        one = estimate_contrast(table, weights)
        limit = np.interp(1 / one.freedom, 1 / grid[::-1], limits[::-1])
        limit = np.where(unlike, student.ppf(1 - LEVEL / 2 / num, one.freedom), limit)
        different |= np.abs(one.mean) > limit * np.sqrt(one.variance)
    return different


def list_kinds() -> Iterator[StudyKind]:
    """List the kinds of studies in the table."""
    for seeds, segments in itertools.product((3, 5, 10, 40), (4, 10, 20, 40)):
        yield StudyKind(seeds, segments)
    for seeds, segments in itertools.product((3, 5, 20), (10, 20, 40)):
        yield StudyKind(seeds, segments, tails="t3")
        yield StudyKind(seeds, segments, sizes="unequal")
        yield StudyKind(seeds, segments, spread="segments")
        yield StudyKind(seeds, segments, spread="segments", sizes="unequal")
        yield StudyKind(seeds, segments, spread="seeds", tails="t3")
        yield StudyKind(seeds, segments, arms="unlike")


def print_table(num_studies: int) -> None:
    """Print the table as Markdown, from so many studies per row."""
    print(format_head())
    for kind in list_kinds():
        print(format_row(kind, measure_rates(kind, num_studies=num_studies)), flush=True)


def format_head() -> str:
    """Write the head of the table."""
    names = (
        "seeds",
        "segments",
        "kind",
        "coverage",
        "contrast",
        "trend",
        "equality",
        "Dunnett",
        "power",
        "choice",
        "others",
    )
    return f"| {' | '.join(names)} |\n|{'---|' * len(names)}"


def format_row(kind: StudyKind, rates: ErrorRates) -> str:
    """Write a row of the table, shares in per cent."""
    words = [kind.spread, kind.tails, kind.sizes, kind.arms]
    usual = ["as measured", "normal", "equal", "alike"]
    told = ", ".join(f"{w}" for w, u in zip(words, usual, strict=True) if w != u) or "as measured"
    cells = ["" if np.isnan(value) else f"{100 * value:.1f}" for value in vars(rates).values()]
    return f"| {kind.num_seeds} | {kind.num_segments} | {told} | {' | '.join(cells)} |"
