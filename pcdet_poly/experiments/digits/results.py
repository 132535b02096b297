"""Outcomes of all arms and seeds -> a table with intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from scipy.stats import t as student

from pcdet_poly.experiments.digits.arms import BASELINE, Arm
from pcdet_poly.experiments.digits.train import Outcome, Plan

Outcomes = Mapping[Arm, Sequence[Outcome]]  # of each arm, one per seed, in one order


@dataclass(frozen=True)
class Interval:
    """A mean over seeds and its 95 % interval (Student's t)."""

    mean: float
    half_width: float

    def __str__(self) -> str:
        return f"{self.mean:+.2f} [{self.mean - self.half_width:+.2f}, {self.mean + self.half_width:+.2f}]"


@dataclass(frozen=True)
class Row:
    """One arm. Accuracies in percent; differences are paired by seed, against the baseline."""

    arm: str
    accuracy: float
    accuracy_sd: float
    difference: Interval
    detectable: float  # smallest difference that so many seeds find with 80 % power
    cross_entropy: float
    calibration_error: float
    mean_p_t: float


def rows(outcomes: Outcomes) -> list[Row]:
    """One row per arm, in the order given."""
    baseline = _accuracies(outcomes[BASELINE])
    return [_row(arm, found, baseline) for arm, found in outcomes.items()]


def paired_interval(differences: np.ndarray) -> Interval:
    """Mean of (N,) paired differences, N >= 2, with its 95 % interval."""
    error = differences.std(ddof=1) / math.sqrt(len(differences))
    return Interval(float(differences.mean()), float(student.ppf(0.975, len(differences) - 1) * error))


def detectable(differences: np.ndarray) -> float:
    """Smallest true mean difference that a two-sided 5 % test of as many seeds finds in 80 % of studies (about)."""
    freedom = len(differences) - 1
    error = differences.std(ddof=1) / math.sqrt(len(differences))
    return float((student.ppf(0.975, freedom) + student.ppf(0.8, freedom)) * error)


def markdown(found: Sequence[Row], outcomes: Outcomes, plan: Plan) -> str:
    """The table, with what was run above it and what it may not be taken for below."""
    num_seeds = len(outcomes[BASELINE])
    error = max(outcome.largest_error for arm in outcomes.values() for outcome in arm)
    head = (
        f"{num_seeds} seeds, {plan.num_train} digits to train on and {1797 - plan.num_train} to test on, another split "
        f"per seed; {plan.epochs} epochs; differences from cross-entropy are paired by seed, with 95 % intervals.\n\n"
        "| loss | accuracy % (sd) | difference, points | detectable | cross-entropy | calibration error | mean P_t |\n"
        "|---|---|---|---|---|---|---|\n"
    )
    body = "".join(_line(row) for row in found)
    return head + body + _caveats(len(found) - 1, error)


def as_json(found: Sequence[Row], plan: Plan, num_seeds: int) -> dict[str, object]:
    """The same as plain types."""
    return {"plan": asdict(plan), "seeds": num_seeds, "rows": [asdict(row) for row in found]}


def _caveats(num_arms: int, error: float) -> str:
    by_chance = f"{0.05 * num_arms:.1f}"
    return (
        f"\nOf {num_arms} intervals about {by_chance} exclude 0 by chance alone. `detectable`: the smallest true "
        "difference that this many seeds would find with 80 % power; a smaller one that is not seen is not refuted.\n"
        f"Largest |share of the first polynomial - P_t| of any digit at any step: {error:.1e}.\n"
    )


def _line(row: Row) -> str:
    compared = " | " if row.arm == BASELINE.name else f"{row.difference} | {row.detectable:.2f}"
    return (
        f"| {row.arm} | {row.accuracy:.2f} ({row.accuracy_sd:.2f}) | {compared} | {row.cross_entropy:.3f} "
        f"| {row.calibration_error:.3f} | {row.mean_p_t:.3f} |\n"
    )


def _row(arm: Arm, found: Sequence[Outcome], baseline: np.ndarray) -> Row:
    accuracy = _accuracies(found)
    return Row(
        arm=arm.name,
        accuracy=float(accuracy.mean()),
        accuracy_sd=float(accuracy.std(ddof=1)),
        difference=paired_interval(accuracy - baseline),
        detectable=detectable(accuracy - baseline),
        cross_entropy=float(np.mean([outcome.cross_entropy for outcome in found])),
        calibration_error=float(np.mean([outcome.calibration_error for outcome in found])),
        mean_p_t=float(np.mean([outcome.mean_p_t for outcome in found])),
    )


def _accuracies(found: Sequence[Outcome]) -> np.ndarray:
    return 100 * np.array([outcome.accuracy for outcome in found])
